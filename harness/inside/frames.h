/* Where an interpreter keeps its frames, told by the program (frames.c) to frames_tool.c, and the way from a thread to the
 * frame it is in, which both go. Offsets are in bytes from the start of what is named first, unless it says otherwise.
 * Plain numbers, so that the tool needs no Python header and the harness none of the tool's. */
#ifndef FRAMES_H
#define FRAMES_H

struct whereabouts {
    unsigned long threads;                  /* the address of the pointer to a thread's state; 0: unknown */
    unsigned long thread_next, thread_self; /* in it: the next one, NO_OFFSET: none; pthread_self() of its thread */
    unsigned long thread_frame;             /* in a thread's state: the pointer to its frame, or, */
    unsigned long frame_pointer;            /* where this is not NO_OFFSET, to what has that pointer at this offset, */
    unsigned long entry_within;             /* and where this is not 0, it has it only once the frame's caller is a frame */
                                            /* of no function that lies no more bytes away from it */
    unsigned long frame_code, frame_previous, frame_owner, frame_bytes;
    unsigned long code_tags;                /* the bits of a pointer to a code that do not belong to its address */
    unsigned long object_type, code_type;   /* in an object its type; the address of the type that codes have */
    unsigned long code_file, code_name, code_line, code_bytes;
    unsigned long text_state, text_ascii;   /* in a string: its state, a 32-bit integer; its characters */
    unsigned int text_is_ascii;             /* the bits of its state that say so */
};

#define NO_OFFSET (~0UL)
enum { FIRST_OWNER_OF_NO_FUNCTION = 3 };

/* The client request that hands one over. */
#define WHERE_FRAMES_ARE (VG_USERREQ_TOOL_BASE('I', 'F'))

static inline unsigned long word_at(unsigned long address)
{
    return *(const unsigned long *)address;
}

/* The state of the thread whose pthread_self() this is; 0 where none is found. */
static inline unsigned long state_of(const struct whereabouts *where, unsigned long self)
{
    unsigned long state = where->threads == 0 ? 0 : word_at(where->threads);
    while (state != 0 && word_at(state + where->thread_self) != self)
        state = where->thread_next == NO_OFFSET ? 0 : word_at(state + where->thread_next);
    return state;
}

/* The frame that a thread is in; 0 where it is in none. */
static inline unsigned long frame_of(const struct whereabouts *where, unsigned long state)
{
    const unsigned long pointer = word_at(state + where->thread_frame);
    return where->frame_pointer == NO_OFFSET ? pointer : word_at(pointer + where->frame_pointer);
}

static inline unsigned long code_of(const struct whereabouts *where, unsigned long frame)
{
    return word_at(frame + where->frame_code) & ~where->code_tags;
}

/* Whether a frame is of the interpreter's own making, between a function and the machine code that called it: there are
 * such from 3.12 on. */
static inline int is_of_no_function(const struct whereabouts *where, unsigned long frame)
{
    return *(const signed char *)(frame + where->frame_owner) >= FIRST_OWNER_OF_NO_FUNCTION;
}

/* Whether a code is of the interpreter's own making: from 3.12 on there is one between the caller of a class and its
 * __init__. Its file's name is one object with its own. */
static inline int is_no_function(const struct whereabouts *where, unsigned long code)
{
    return word_at(code + where->code_file) == word_at(code + where->code_name);
}

#endif
