"""Counts instructions: the same number every time.

Who stands on whom, from the door down; each module imports only from below.

    workload                          the abstract asv class; count, ask
    session                           start a supervisor, ask it, stop it
    supervisor                        the process beside the fork server
    fork_server, schedule             the server held from outside; which case is next
    server, worker                    inside valgrind: import once, fork; the life of a worker
    source, kept                      what makes a version; what stays beside asv's results
    scratch, environment              fixed names; fixed variables, and the fingerprint
    configuration                     what a supervisor is told
    torch_rules, rules, counter       what is torch's alone; regions; the seam to what counts
    readable                          the valgrind tool behind the readable counter: built, cached, found
    valgrind, callgrind_out, counts   valgrind itself; Callgrind's files; instructions by function
    messages                          the words between processes
    processes, errors                 the kernel's help; the sentences
"""

from harness.errors import CaseSkipped, CountError, HarnessError, StartError, SuiteError
from harness.workload import Workload, count

__all__ = ["CaseSkipped", "CountError", "HarnessError", "StartError", "SuiteError", "Workload", "count"]
