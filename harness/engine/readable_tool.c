/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A valgrind tool that counts instructions and lets the program read the count. Linked with valgrind's own libraries, so
 * under valgrind's licence; the rest of this project is not (see LICENSE).
 *
 * valgrind hands over each block of code once, as a list of statements, before it is first run. Between two places where
 * control can leave the block all instructions run or none does. So each such stretch gets one addition, at its
 * beginning, of the number of its instructions: no call, no flush, nothing to switch on or off. The program asks for the
 * sum with a client request, which ends a block, so that the sum holds everything before the request and nothing after.
 *
 * What is counted, instruction by instruction:
 *   - All threads: valgrind runs one at a time, and they share the sum. A forked child goes on from its parent's.
 *   - A `rep` string instruction: once for every turn, and once for finding no turn left. Callgrind does likewise.
 *   - A fault in the middle of a stretch (a signal that the program handles and survives): the whole stretch, so up to
 *     one block too many. Callgrind adds more than that.
 *   - The two instructions by which a signal's handler returns to the kernel. Callgrind loses them.
 *   - Both sides of an `&&`: only what is executed. Left to itself valgrind may join two tests into one block without a
 *     branch, in which the second always runs; that is switched off, as Callgrind does.
 *   - What is generated or modified at run time: valgrind hands over the new code, which is counted like any other.
 *
 * It also counts system calls that make a number doubtful (counting.h says which), as valgrind passes them on: the
 * program executes nothing more for it.
 */

#include "pub_tool_basics.h"
#include "pub_tool_clreq.h"
#include "pub_tool_machine.h"
#include "pub_tool_options.h"
#include "pub_tool_tooliface.h"
#include "pub_tool_vki.h"
#include "pub_tool_vkiscnums.h"

/* The requests that client_requests.c makes. The first one's answer is the sum, the second one copies `made` to where its
 * argument says; without this tool the program gets their default, 0. */
enum { READ_INSTRUCTIONS = VG_USERREQ_TOOL_BASE('I', 'C'), READ_SYSTEM_CALLS };

static ULong executed;

/* In the order of counting.h. */
enum { CHILDREN, TIMERS, CLOCK, ENTROPY, SYSTEM_CALLS };
static ULong made[SYSTEM_CALLS];

static void before_system_call(ThreadId thread, UInt number, UWord *arguments, UInt length)
{
    switch (number) {
    case __NR_clone:
        if (arguments[0] & VKI_CLONE_THREAD)
            break; /* its instructions are counted */
        made[CHILDREN]++;
        break;
    case __NR_fork:
    case __NR_vfork:
        made[CHILDREN]++;
        break;
    case __NR_alarm:
    case __NR_setitimer:
    case __NR_timer_settime:
    case __NR_timerfd_settime:
        made[TIMERS]++;
        break;
    case __NR_clock_gettime:
    case __NR_gettimeofday:
    case __NR_time:
        made[CLOCK]++;
        break;
    case __NR_getrandom:
        made[ENTROPY]++;
        break;
    }
}

static void after_system_call(ThreadId thread, UInt number, UWord *arguments, UInt length, SysRes result)
{
}

#if defined(VG_BIGENDIAN)
static const IREndness memory_order = Iend_BE;
#else
static const IREndness memory_order = Iend_LE;
#endif

/* Add `executed += n` to `block`, and return n, 0 for now. */
static IRConst *begin_stretch(IRSB *block)
{
    IRConst *instructions = IRConst_U64(0);
    const IRTemp before = newIRTemp(block->tyenv, Ity_I64);
    const IRTemp after = newIRTemp(block->tyenv, Ity_I64);
    IRExpr *place = mkIRExpr_HWord((HWord)&executed);
    IRExpr *sum = IRExpr_Binop(Iop_Add64, IRExpr_RdTmp(before), IRExpr_Const(instructions));

    addStmtToIRSB(block, IRStmt_WrTmp(before, IRExpr_Load(memory_order, Ity_I64, place)));
    addStmtToIRSB(block, IRStmt_WrTmp(after, sum));
    addStmtToIRSB(block, IRStmt_Store(memory_order, place, IRExpr_RdTmp(after)));
    return instructions;
}

static IRSB *instrument(VgCallbackClosure *closure, IRSB *original, const VexGuestLayout *layout,
                        const VexGuestExtents *extents, const VexArchInfo *host, IRType guest_word, IRType host_word)
{
    IRSB *block = deepCopyIRSBExceptStmts(original);
    IRConst *instructions = NULL; /* of the current stretch; none before its first instruction */

    for (Int number = 0; number < original->stmts_used; number++) {
        IRStmt *statement = original->stmts[number];
        if (statement->tag == Ist_IMark) {
            if (instructions == NULL)
                instructions = begin_stretch(block);
            instructions->Ico.U64++;
        } else if (statement->tag == Ist_Exit)
            instructions = NULL;
        addStmtToIRSB(block, statement);
    }
    return block;
}

static Bool answer_request(ThreadId thread, UWord *request, UWord *answer)
{
    switch (request[0]) {
    case READ_INSTRUCTIONS:
        *answer = executed;
        return True;
    case READ_SYSTEM_CALLS:
        for (Int which = 0; which < SYSTEM_CALLS; which++)
            ((ULong *)request[1])[which] = made[which];
        *answer = SYSTEM_CALLS;
        return True;
    default:
        return False;
    }
}

static void after_options(void)
{
    VG_(clo_vex_control).guest_chase = False;
}

static void at_exit(Int status)
{
}

/* Stands in for valgrind's own (valgrind_tools.py has it linked so), which reads the symbols of each file that the program
 * maps: seconds for torch's. Nobody asks this tool for a name; only what valgrind says of a crash has none. */
ULong __wrap_vgPlain_di_notify_mmap(Addr address, Bool allow_shared, Int descriptor)
{
    return 0;
}

static void before_options(void)
{
    VG_(details_name)("readable");
    VG_(details_version)(NULL);
    VG_(details_description)("an instruction counter that the program can read");
    VG_(details_copyright_author)("the authors of torch-instruction-suite, GPL-2.0-or-later");
    VG_(details_bug_reports_to)("the authors of torch-instruction-suite");
    VG_(basic_tool_funcs)(after_options, instrument, at_exit);
    VG_(needs_client_requests)(answer_request);
    VG_(needs_syscall_wrapper)(before_system_call, after_system_call);
}

VG_DETERMINE_INTERFACE_VERSION(before_options)
