/* Where an interpreter keeps its frames, told by the program to frames_tool.c: offsets in bytes from the start of what is
 * named first, unless it says otherwise. Plain numbers, so that the tool needs no Python header and the harness none of
 * the tool's. */
#ifndef FRAMES_H
#define FRAMES_H

struct whereabouts {
    unsigned long thread_state;             /* the address of the pointer to the state of the thread that runs; 0: unknown */
    unsigned long state_thread;             /* in a thread's state: pthread_self() of that thread */
    unsigned long state_cframe;             /* in a thread's state: the pointer to what points to its frame */
    unsigned long cframe_frame;
    unsigned long frame_code, frame_previous, frame_bytes;
    unsigned long object_type, code_type;   /* in an object its type; the address of the type that codes have */
    unsigned long code_file, code_name, code_line, code_bytes;
    unsigned long text_state, text_ascii;   /* in a string: its state, a 32-bit integer; its characters */
    unsigned int text_is_ascii;             /* the bits of its state that say so */
};

/* The client request that hands one over. */
#define WHERE_FRAMES_ARE (VG_USERREQ_TOOL_BASE('I', 'F'))

#endif
