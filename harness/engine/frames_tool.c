/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A valgrind tool that tells on behalf of which Python function each instruction was executed. Linked with valgrind's own
 * libraries, so under valgrind's licence; the rest of this project is not (see LICENSE).
 *
 * CPython keeps the frame that it is in where anyone can read it: each thread's state points to it, and each frame to its
 * code and to its caller. So nothing is put into the interpreter and nothing in it is switched off: before each
 * stretch of instructions this tool looks there. The program executes the same instructions as under the counting tools,
 * to the instruction, and the call paths are exact. What a thread executes while another one holds the interpreter's lock
 * belongs to the frame that it was last seen in itself.
 *
 * It answers Callgrind's client requests to start, stop and dump, and one more, by which the program says where its
 * frames are (struct whereabouts in frames.h). A dump is text:
 *
 *     code ID LINE\tFILE\tNAME       a Python function
 *     node ID PARENT CODE CALLS      a call path: this code called in the path PARENT (0: nothing of Python)
 *     native ID\tOBJECT\tNAME        a function of machine code
 *     cost NODE NATIVE INSTRUCTIONS  executed in this native function, in this path itself
 *     totals: INSTRUCTIONS
 */

#include "pub_tool_basics.h"
#include "pub_tool_aspacemgr.h"
#include "pub_tool_clreq.h"
#include "pub_tool_debuginfo.h"
#include "pub_tool_libcassert.h"
#include "pub_tool_libcbase.h"
#include "pub_tool_libcfile.h"
#include "pub_tool_libcprint.h"
#include "pub_tool_libcproc.h"
#include "pub_tool_machine.h"
#include "pub_tool_mallocfree.h"
#include "pub_tool_options.h"
#include "pub_tool_threadstate.h"
#include "pub_tool_tooliface.h"
#include "pub_tool_vki.h"
#include "libvex_guest_amd64.h"

#include "callgrind.h"
#include "frames.h"

#if defined(VG_BIGENDIAN)
static const IREndness memory_order = Iend_BE;
#else
static const IREndness memory_order = Iend_LE;
#endif

/* A table from pairs of pointers to values, which are never removed. */
struct entry {
    const void *first, *second;
    void *value;
};
struct table {
    struct entry *entries;
    SizeT size, used; /* `size` is a power of two */
};

static struct entry *place(const struct table *table, const void *first, const void *second)
{
    ULong hash = (ULong)(UWord)first * 0x9E3779B97F4A7C15ULL ^ (ULong)(UWord)second * 0xC2B2AE3D27D4EB4FULL;
    hash ^= hash >> 29;
    for (SizeT at = hash & (table->size - 1);; at = (at + 1) & (table->size - 1)) {
        struct entry *entry = &table->entries[at];
        if (entry->value == NULL || (entry->first == first && entry->second == second))
            return entry;
    }
}

/* The value of this pair; where it was not known, `bytes` zeroed ones, and *made is set. */
static void *find_or_make(struct table *table, const void *first, const void *second, SizeT bytes, Bool *made)
{
    if (table->used * 2 >= table->size) {
        const struct table old = *table;
        table->size = old.size == 0 ? 4096 : old.size * 2;
        table->entries = VG_(calloc)("frames.table", table->size, sizeof *table->entries);
        for (SizeT at = 0; at < old.size; at++)
            if (old.entries[at].value != NULL)
                *place(table, old.entries[at].first, old.entries[at].second) = old.entries[at];
        if (old.entries != NULL)
            VG_(free)(old.entries);
    }
    struct entry *entry = place(table, first, second);
    *made = entry->value == NULL;
    if (*made) {
        *entry = (struct entry){first, second, VG_(calloc)("frames.value", 1, bytes)};
        table->used++;
    }
    return entry->value;
}

/* What is counted, each kind in a list in the order of its making. */
struct code {
    struct code *next;
    UInt id;
    Int line;
    Addr file, name; /* the program's strings, to tell whether another code has come to lie at the same address */
    HChar *texts[2];
};
struct native {
    struct native *next;
    UInt id;
    UInt dumped; /* the last dump that it is in */
    HChar *object, *name;
};
struct node {
    struct node *next, *parent;
    UInt id;
    const struct code *code;
    ULong calls;
};
struct cost {
    struct cost *next;
    const struct node *node;
    struct native *native;
    ULong instructions;
};
static struct table codes, natives, nodes, costs;
static struct code *all_codes;
static struct native *all_natives;
static struct node *all_nodes;
static struct cost *all_costs;
static struct node nowhere; /* the path in which there is nothing of Python; its id is 0 */

/* The frames of each thread as they were last seen, outermost first. */
struct seen {
    Addr frame;
    struct node *node;
};
struct thread {
    struct seen *stack;
    SizeT depth, size;
    Addr self;    /* its pthread_self() */
    Addr pointer; /* what pointed to its frame, where that is not its state: see is_settled() */
};
static struct thread *threads;
static struct thread *thread; /* the one that runs */

static UChar collecting;
static ULong total;
static UInt dumps;
static struct whereabouts where;
static const HChar *out_file = "frames.out.%p";

static Bool readable(Addr at, SizeT bytes)
{
    return at % sizeof(Addr) == 0 && VG_(am_is_valid_for_client)(at, bytes, VKI_PROT_READ);
}

/* A copy of a Python string, on one line; strings that are not ASCII are rare in names, and told as such. */
static HChar *text(Addr string)
{
    if ((*(const UInt *)(string + where.text_state) & where.text_is_ascii) != where.text_is_ascii)
        return VG_(strdup)("frames.text", "(a name that is not ASCII)");
    HChar *copy = VG_(strdup)("frames.text", (const HChar *)(string + where.text_ascii));
    for (HChar *at = copy; *at != 0; at++)
        if (*at == '\t' || *at == '\n')
            *at = ' ';
    return copy;
}

static struct code *code_at(Addr at)
{
    const Addr file = word_at(at + where.code_file), name = word_at(at + where.code_name);
    for (const void *version = NULL;; version = (const HChar *)version + 1) {
        Bool made;
        struct code *code = find_or_make(&codes, (const void *)at, version, sizeof *code, &made);
        if (made) {
            *code = (struct code){all_codes, codes.used, *(const Int *)(at + where.code_line), file, name};
            code->texts[0] = text(file);
            code->texts[1] = text(name);
            all_codes = code;
        }
        if (code->file == file && code->name == name && code->line == *(const Int *)(at + where.code_line))
            return code;
    }
}

/* Not a frame: what lies there while one is being made. */
static Bool is_frame(Addr frame)
{
    if (!readable(frame, where.frame_bytes))
        return False;
    const Addr code = code_of(&where, frame);
    return readable(code, where.code_bytes) && word_at(code + where.object_type) == where.code_type;
}

/* This frame, or the first one outside it that is a function's; 0 if there is none. What cannot be read is given back. */
static Addr of_function(Addr frame)
{
    while (frame != 0 && readable(frame, where.frame_bytes) &&
           (is_of_no_function(&where, frame) || (is_frame(frame) && is_no_function(&where, code_of(&where, frame)))))
        frame = word_at(frame + where.frame_previous);
    return frame;
}

/* The function's frame that called this one's. */
static Addr caller_of(Addr frame)
{
    return of_function(word_at(frame + where.frame_previous));
}

static void push(Addr frame, Bool called)
{
    if (thread->depth == thread->size) {
        thread->size = thread->size == 0 ? 256 : thread->size * 2;
        thread->stack = VG_(realloc)("frames.stack", thread->stack, thread->size * sizeof *thread->stack);
    }
    struct node *parent = thread->depth == 0 ? &nowhere : thread->stack[thread->depth - 1].node;
    struct code *code = code_at(code_of(&where, frame));
    Bool made;
    struct node *node = find_or_make(&nodes, parent, code, sizeof *node, &made);
    if (made) {
        *node = (struct node){all_nodes, parent, nodes.used, code, 0};
        all_nodes = node;
    }
    node->calls += called;
    thread->stack[thread->depth++] = (struct seen){frame, node};
}

/* Every frame from the outermost down to `frame`, without calls: they were there before. */
static void push_all(Addr frame)
{
    UInt depth = 0;
    for (Addr at = frame; at != 0; at = caller_of(at), depth++)
        if (depth > 100000 || !is_frame(at))
            return;
    Addr *found = VG_(malloc)("frames.walk", (depth + 1) * sizeof *found);
    UInt number = 0;
    for (Addr at = frame; at != 0; at = caller_of(at))
        found[number++] = at;
    while (number > 0)
        push(found[--number], False);
    VG_(free)(found);
}

/* How many of the frames that were seen are there up to `frame` itself; 0 if it is not among them. */
static SizeT depth_of(Addr frame)
{
    SizeT depth = thread->depth;
    while (depth > 0 && thread->stack[depth - 1].frame != frame)
        depth--;
    return depth;
}

static void move_to(Addr frame)
{
    frame = of_function(frame);
    if (frame == 0) {
        thread->depth = 0;
        return;
    }
    if (!is_frame(frame))
        return; /* looked at in the middle of being entered: the next look will find it */
    const Addr previous = caller_of(frame);
    SizeT depth = depth_of(frame);
    if (depth > 0 && thread->stack[depth - 1].node->code == code_at(code_of(&where, frame))) {
        thread->depth = depth;
        return;
    }
    depth = previous == 0 ? 0 : depth_of(previous);
    if (depth > 0 || previous == 0) {
        thread->depth = depth;
        push(frame, True);
        return;
    }
    thread->depth = 0;
    push_all(frame);
}

/* Whether what points to this frame has been set: see entry_within in frames.h. */
static Bool is_settled(Addr state, Addr frame)
{
    const Addr pointer = word_at(state + where.thread_frame);
    if (pointer == thread->pointer)
        return True;
    if (thread->depth > 0 && depth_of(frame) == 0) {
        if (!is_frame(frame))
            return False;
        const Addr entry = word_at(frame + where.frame_previous);
        if ((entry > pointer ? entry - pointer : pointer - entry) > where.entry_within)
            return False;
    }
    thread->pointer = pointer;
    return True;
}

/* One stretch of instructions that are executed together, as it was translated. */
struct stretch {
    UWord instructions;
    struct native *native;
    const struct node *node; /* whose `counter` is the one below */
    ULong *counter;
};

static VG_REGPARM(1) void charge(struct stretch *stretch)
{
    const Addr state = state_of(&where, thread->self);
    if (state != 0) {
        const Addr frame = frame_of(&where, state);
        const Addr known = thread->depth == 0 ? 0 : thread->stack[thread->depth - 1].frame;
        if ((where.entry_within == 0 || is_settled(state, frame)) && frame != known)
            move_to(frame);
    }
    const struct node *node = thread->depth == 0 ? &nowhere : thread->stack[thread->depth - 1].node;
    if (stretch->node != node) {
        Bool made;
        struct cost *cost = find_or_make(&costs, node, stretch->native, sizeof *cost, &made);
        if (made) {
            *cost = (struct cost){all_costs, node, stretch->native, 0};
            all_costs = cost;
        }
        stretch->node = node;
        stretch->counter = &cost->instructions;
    }
    *stretch->counter += stretch->instructions;
    total += stretch->instructions;
}

static const void *digest(const HChar *text)
{
    ULong hash = 0xCBF29CE484222325ULL;
    for (; *text != 0; text++)
        hash = (hash ^ (UChar)*text) * 0x100000001B3ULL;
    return (const void *)(UWord)hash;
}

static struct native *native_at(Addr address)
{
    const DiEpoch epoch = VG_(current_DiEpoch)();
    const HChar *object, *name;
    if (!VG_(get_objname)(epoch, address, &object))
        object = "???";
    const void *digest_of_object = digest(object);
    if (!VG_(get_fnname)(epoch, address, &name))
        name = "???";
    Bool made;
    struct native *native = find_or_make(&natives, digest_of_object, digest(name), sizeof *native, &made);
    if (made) {
        HChar *copy = VG_(strdup)("frames.name", name); /* asking on overwrites it */
        if (!VG_(get_objname)(epoch, address, &object))
            object = "???";
        *native = (struct native){all_natives, natives.used, 0, VG_(strdup)("frames.object", object), copy};
        all_natives = native;
    }
    return native;
}

/* Add `if (collecting) charge(stretch)` to `block`. */
static struct stretch *begin_stretch(IRSB *block, Addr address)
{
    struct stretch *stretch = VG_(calloc)("frames.stretch", 1, sizeof *stretch);
    stretch->native = native_at(address);
    const IRTemp switched = newIRTemp(block->tyenv, Ity_I8);
    const IRTemp on = newIRTemp(block->tyenv, Ity_I1);
    IRExpr *flag = IRExpr_Load(memory_order, Ity_I8, mkIRExpr_HWord((HWord)&collecting));
    addStmtToIRSB(block, IRStmt_WrTmp(switched, flag));
    IRExpr *zero = IRExpr_Const(IRConst_U8(0));
    addStmtToIRSB(block, IRStmt_WrTmp(on, IRExpr_Binop(Iop_CmpNE8, IRExpr_RdTmp(switched), zero)));
    IRExpr **arguments = mkIRExprVec_1(mkIRExpr_HWord((HWord)stretch));
    IRDirty *call = unsafeIRDirty_0_N(1, "charge", VG_(fnptr_to_fnentry)(charge), arguments);
    call->guard = IRExpr_RdTmp(on);
    addStmtToIRSB(block, IRStmt_Dirty(call));
    return stretch;
}

static IRSB *instrument(VgCallbackClosure *closure, IRSB *original, const VexGuestLayout *layout,
                        const VexGuestExtents *extents, const VexArchInfo *host, IRType guest_word, IRType host_word)
{
    IRSB *block = deepCopyIRSBExceptStmts(original);
    struct stretch *stretch = NULL; /* the current one; none before its first instruction */

    for (Int number = 0; number < original->stmts_used; number++) {
        IRStmt *statement = original->stmts[number];
        if (statement->tag == Ist_IMark) {
            if (stretch == NULL)
                stretch = begin_stretch(block, statement->Ist.IMark.addr);
            stretch->instructions++;
        } else if (statement->tag == Ist_Exit)
            stretch = NULL;
        addStmtToIRSB(block, statement);
    }
    return block;
}

static void clear(void)
{
    for (struct node *node = all_nodes; node != NULL; node = node->next)
        node->calls = 0;
    for (struct cost *cost = all_costs; cost != NULL; cost = cost->next)
        cost->instructions = 0;
    total = 0;
}

/* Write what was counted since the last dump to the next numbered file. What could not be written shows by the missing
 * last line. */
static void dump(void)
{
    HChar *name = VG_(expand_file_name)("--frames-out-file", out_file);
    HChar *numbered = VG_(malloc)("frames.name", VG_(strlen)(name) + 16);
    VG_(sprintf)(numbered, "%s.%u", name, ++dumps);
    VgFile *file = VG_(fopen)(numbered, VKI_O_CREAT | VKI_O_TRUNC | VKI_O_WRONLY, VKI_S_IRUSR | VKI_S_IWUSR);
    if (file != NULL) {
        for (const struct code *code = all_codes; code != NULL; code = code->next)
            VG_(fprintf)(file, "code %u %d\t%s\t%s\n", code->id, code->line, code->texts[0], code->texts[1]);
        for (const struct node *node = all_nodes; node != NULL; node = node->next)
            VG_(fprintf)(file, "node %u %u %u %llu\n", node->id, node->parent->id, node->code->id, node->calls);
        for (const struct cost *cost = all_costs; cost != NULL; cost = cost->next) {
            struct native *native = cost->native;
            if (cost->instructions == 0)
                continue;
            if (native->dumped != dumps)
                VG_(fprintf)(file, "native %u\t%s\t%s\n", native->id, native->object, native->name);
            native->dumped = dumps;
            VG_(fprintf)(file, "cost %u %u %llu\n", cost->node->id, native->id, cost->instructions);
        }
        VG_(fprintf)(file, "totals: %llu\n", total);
        VG_(fclose)(file);
    }
    VG_(free)(numbered);
    VG_(free)(name);
    clear();
}

static Bool answer_request(ThreadId tid, UWord *request, UWord *answer)
{
    *answer = 0;
    switch (request[0]) {
    case VG_USERREQ__START_INSTRUMENTATION:
        for (SizeT number = 0; number < VG_N_THREADS; number++)
            threads[number].depth = 0; /* nobody looked since */
        collecting = 1;
        return True;
    case VG_USERREQ__STOP_INSTRUMENTATION:
        collecting = 0;
        return True;
    case VG_USERREQ__DUMP_STATS_AT:
        dump();
        return True;
    case WHERE_FRAMES_ARE:
        where = *(const struct whereabouts *)request[1];
        return True;
    default:
        return False;
    }
}

static void runs(ThreadId tid, ULong blocks)
{
    thread = &threads[tid];
    /* glibc's pthread_self() is where the thread's own memory lies, to which this register points. */
    VG_(get_shadow_regs_area)(tid, (UChar *)&thread->self, 0, offsetof(VexGuestAMD64State, guest_FS_CONST),
                              sizeof thread->self);
}

static Bool take_option(const HChar *argument)
{
    return VG_STR_CLO(argument, "--frames-out-file", out_file);
}

static void print_usage(void)
{
    VG_(printf)("    --frames-out-file=<file>  where dumps go, a number added [frames.out.%%p]\n");
}

static void print_debug_usage(void)
{
}

static void after_options(void)
{
    VG_(clo_vex_control).guest_chase = False;
    threads = VG_(calloc)("frames.threads", VG_N_THREADS, sizeof *threads);
    thread = &threads[0];
}

static void at_exit(Int status)
{
}

static void before_options(void)
{
    VG_(details_name)("frames");
    VG_(details_version)(NULL);
    VG_(details_description)("instructions by Python function");
    VG_(details_copyright_author)("the authors of torch-instruction-suite, GPL-2.0-or-later");
    VG_(details_bug_reports_to)("the authors of torch-instruction-suite");
    VG_(details_avg_translation_sizeB)(400);
    VG_(basic_tool_funcs)(after_options, instrument, at_exit);
    VG_(needs_client_requests)(answer_request);
    VG_(needs_command_line_options)(take_option, print_usage, print_debug_usage);
    VG_(track_start_client_code)(runs);
}

VG_DETERMINE_INTERFACE_VERSION(before_options)
