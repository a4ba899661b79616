/* Allocators as if new, and where pages begin: see allocators.c. */
#ifndef ALLOCATORS_H
#define ALLOCATORS_H

#include <Python.h>

enum { PAGE = 4096 }; /* some of libc's functions take another way where a page ends */

PyObject *renew_allocators(PyObject *self, PyObject *unused);

#endif
