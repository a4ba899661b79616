/* What the extension consists of: Python's methods, each in the source that is named above it. A check returns NULL, or a
 * sentence of what is not as its source assumes; Python's error may be set beside it. */
#ifndef METHODS_H
#define METHODS_H

#include <Python.h>

/* client_requests.c; `forked` is whether this process was forked by the workload. */
extern int forked;

/* context_variables.c */
PyObject *place_context_variables(PyObject *self, PyObject *unused);
const char *check_context_variables(void);

/* type_versions.c */
PyObject *know_types(PyObject *self, PyObject *tuple);
PyObject *place_type_versions(PyObject *self, PyObject *name);
PyObject *spread_type_versions(PyObject *self, PyObject *types_and_names);
PyObject *learn_lookups(PyObject *self, PyObject *unused);
PyObject *forget_lookups(PyObject *self, PyObject *unused);
PyObject *keep_places_free(PyObject *self, PyObject *unused);
const char *check_type_versions(void);

/* allocators.c; a page, in bytes, is also what the stack is placed by */
enum { PAGE = 4096 };
PyObject *align_arenas(PyObject *self, PyObject *unused);
PyObject *renew_allocators(PyObject *self, PyObject *unused);
/* The C library's allocator alone, which takes neither Python nor its lock. */
void renew_heap(void);
/* Under valgrind: take all of the program's break, eight megabytes there, so that the heap always grows by maps. A heap
 * that came to the end of it during a count would go on otherwise than before. */
void leave_break(void);
const char *check_allocators(void);

/* tables.c */
PyObject *spread_tables(PyObject *self, PyObject *objects);
const char *check_tables(void);

/* names.c */
PyObject *place_names(PyObject *self, PyObject *bytecode);
const char *check_names(void);

/* fork_server.c */
PyObject *serve(PyObject *self, PyObject *control);
const char *check_forks(void);

/* native.c */
PyObject *native_lack(PyObject *self, PyObject *unused);
PyObject *go_native(PyObject *self, PyObject *unused);
PyObject *is_native(PyObject *self, PyObject *unused);
PyObject *go_simulated(PyObject *self, PyObject *unused);

/* cpuid.c */
PyObject *cpuids_in(PyObject *self, PyObject *bytes);

/* frames.c */
void tell_frames(void);
const char *check_frames(void);

#endif
