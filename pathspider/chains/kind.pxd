cimport cython

from pathspider.libtrace cimport _core

cdef int NEITHER, SYN, DATA


@cython.locals(tcp=_core.TCP)
cpdef int packet_kind(_core.Header ip) except -1
