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
 */

#include "pub_tool_basics.h"
#include "pub_tool_clreq.h"
#include "pub_tool_machine.h"
#include "pub_tool_options.h"
#include "pub_tool_tooliface.h"

/* The request that client_requests.c makes. Its answer is the sum; without this tool the program gets its default, 0. */
enum { READ_INSTRUCTIONS = VG_USERREQ_TOOL_BASE('I', 'C') };

static ULong executed;

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
    if (request[0] != READ_INSTRUCTIONS)
        return False;
    *answer = executed;
    return True;
}

static void after_options(void)
{
    VG_(clo_vex_control).guest_chase = False;
}

static void at_exit(Int status)
{
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
}

VG_DETERMINE_INTERFACE_VERSION(before_options)
