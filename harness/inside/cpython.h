/* CPython's headers with its insides, for the sources here that lean on them: each says what it assumes of them, and checks
 * that it holds in the interpreter that runs. interpreter.py names the versions for which it was tried. */
#ifndef CPYTHON_H
#define CPYTHON_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define Py_BUILD_CORE
#undef _PyGC_FINALIZED /* which 3.11 and 3.12 define twice */
#include <internal/pycore_context.h>
#include <internal/pycore_dict.h>
#include <internal/pycore_frame.h>
#if PY_VERSION_HEX >= 0x030E0000
#include <internal/pycore_interpframe.h>
#endif
#include <internal/pycore_interp.h>
#include <internal/pycore_runtime.h>
#undef Py_BUILD_CORE

#endif
