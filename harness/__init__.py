"""Counts instructions: the same number every time.

Who stands on whom, from the door down; each module imports only from below.

    search                            which commit of a range changed a benchmark
    reasons, asv_pages                what explain and diff tell; what asv publishes of it
    lookup                            what is kept of a count, counted first where it is not
    prober, asv_results, finding      the probing process held from outside; asv's results; what was found
    asv_history                       asv's results as histories of cases
    asv_scripts, asv_terminal         text of others on asv's own pages, and where asv prints it
    probing, asv_git, asv_releases    the process that counts commits; asv's git, less submodules; releases as commits
    selection                         which benchmark and cases a name means
    foreseen                          what a suite's text tells without being imported
    torch_statements                  an asv class made of short definitions in Python and C++
    torch_workloads                   an asv class that compiles
    build                             the process that builds what cases need
    workload                          the abstract asv class; count, ask
    asking                            what comes of asking: kept, skipped, failed
    session                           start a supervisor, ask it, stop it
    supervisor                        the process beside the fork server
    running                           a worker that is being waited for
    fork_server, builds, schedule     the server held from outside; building; which case is next
    server, worker                    inside valgrind: import once, fork; the life of a worker
    endings, surroundings             how a workload may end its worker; what the kernel tells a worker of itself
    costs                             what benchmarks cost to count
    source, kept                      what makes a version; what stays beside asv's results
    tables, flame, pages              where instructions went: as text, as a picture, on pages
    overview                          every case, on the first page
    explanation                       where a count's instructions went, and where two counts differ
    site_scripts                      asv's third-party scripts, from npm
    scratch, environment              fixed names; fixed variables, and the fingerprint
    overlay                           trees in an environment: in site-packages, or for a while
    tree                              the Python of one commit over the binaries of a wheel
    configuration                     what a supervisor is told
    wheels                            the wheel that is installed, or the nearest of several
    torch_builds, expansion           compiling and scripting statements; definitions -> cases
    torch_rules, rules, counter       what is torch's alone; regions; the seam to what counts
    torch_insides                     names of torch's insides, and whether they are there
    torch_seams, seams                functions -> parts of torch, of any program
    tools                             this project's own valgrind tools: built, cached, found
    valgrind                          valgrind itself
    frames_out, callgrind_out         what two tools write -> profiles
    progress                          what a run is doing, as events
    declarations, discovered          what can be wrong with a workload; what asv listed, against what is here
    parameters, notes, suites         the values of cases; what stands beside a number; quick to full
    profiles, names                   instructions by function; the names that two installs share
    definitions, cache                what a statement's case is made of; what outlives a run
    bisection                         which point of a range to count next
    git, torch_sources                a repository without a checkout; which of PyTorch's files are which
    messages                          the words between processes
    interpreter                       which Python can count
    processes, private                the kernel's help; whose a file is, and who may write it
    errors, printable                 the sentences; text of others, fit to be shown
"""

from harness.definitions import GroupedModules, GroupedSetup, GroupedStmts, GroupedVariants, TimerArgs, parse_stmts
from harness.errors import CaseSkipped, CountError, HarnessError, StartError, SuiteError
from harness.expansion import materialize
from harness.torch_statements import Statements
from harness.torch_workloads import Compiling
from harness.workload import Workload, count

__all__ = [
    "CaseSkipped",
    "Compiling",
    "CountError",
    "GroupedModules",
    "GroupedSetup",
    "GroupedStmts",
    "GroupedVariants",
    "HarnessError",
    "StartError",
    "Statements",
    "SuiteError",
    "TimerArgs",
    "Workload",
    "count",
    "materialize",
    "parse_stmts",
]
