# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=True
"""The native core: view objects with python-libtrace's attributes, the flow table, packet sources.

In one extension, because chains are called from the table with views, and the table eats from the sources:
``views.pxi`` (packets as objects), ``store.pxi`` (packets that are held), ``tunnel.pxi`` (what packets are in), ``record.pxi`` (what chains note of a flow),
``ndjson.pxi`` (records as lines), ``judged.pxi`` (what plugins say of them),
``table.pxi`` (packets in, flow records out), ``fragments.pxi`` (packets put together), ``capture.pxi`` (where packets come
from). Decoding is in ``decode.c``, sources and the reader thread are in ``source.c``,
what leads packets to a file is in ``tap.c``.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Copy, PyDict_SetItem
from cpython.exc cimport PyErr_CheckSignals
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF, PyObject
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport INT64_MAX, UINT64_MAX
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

import os as _os
import socket as _socket

cdef extern from "Python.h":
    unsigned long Py_TPFLAGS_HEAPTYPE
    ctypedef struct PyTypeObject:
        pass
    unsigned long PyType_GetFlags(PyTypeObject *type)
    Py_ssize_t Py_REFCNT(PyObject *o) nogil
    bint PyDict_Next(object rec, Py_ssize_t *place, PyObject **key, PyObject **value)
    uint32_t PyUnicode_READ_CHAR(object text, Py_ssize_t index)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    bint PyUnicode_CheckExact(object value)
    PyObject *PyList_GET_ITEM(list items, Py_ssize_t index)

cdef extern from "time.h" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec *now)

ps_seed(int.from_bytes(_os.urandom(8), "little"))

include "views.pxi"
include "store.pxi"
include "tunnel.pxi"
include "record.pxi"
include "table.pxi"
include "fragments.pxi"
include "capture.pxi"
include "ndjson.pxi"
include "judged.pxi"

cdef extern from "source.h":
    int C_SYSTEM "PS_E_SYSTEM"
    int C_NO_DEVICE "PS_E_NO_DEVICE"
    int C_DOWN "PS_E_DOWN"
    int C_PERMISSION "PS_E_PERMISSION"
    int C_FILTER "PS_E_FILTER"
    int C_NOT_CAPTURE "PS_E_NOT_CAPTURE"
    int C_EMPTY "PS_E_EMPTY"
    int C_LINK "PS_E_LINK"
    int C_LENGTH "PS_E_LENGTH"
    int C_CUT "PS_E_CUT"
    int C_GONE "PS_E_GONE"
    int C_NO_LIBTRACE "PS_E_NO_LIBTRACE"
    int C_MEMORY "PS_E_MEMORY"
    int C_BLOCK "PS_E_BLOCK"
    int C_NO_UNPACKER "PS_E_NO_UNPACKER"
    int C_UNPACK "PS_E_UNPACK"

PS_E_SYSTEM, PS_E_NO_DEVICE, PS_E_DOWN, PS_E_PERMISSION, PS_E_FILTER = C_SYSTEM, C_NO_DEVICE, C_DOWN, C_PERMISSION, C_FILTER
PS_E_NOT_CAPTURE, PS_E_EMPTY, PS_E_LINK, PS_E_LENGTH, PS_E_CUT = C_NOT_CAPTURE, C_EMPTY, C_LINK, C_LENGTH, C_CUT
PS_E_GONE, PS_E_NO_LIBTRACE, PS_E_MEMORY = C_GONE, C_NO_LIBTRACE, C_MEMORY
PS_E_BLOCK, PS_E_NO_UNPACKER, PS_E_UNPACK = C_BLOCK, C_NO_UNPACKER, C_UNPACK
