cimport cython

from pathspider.chains.tcp cimport TCP_SYN
from pathspider.libtrace cimport _core

cdef int IPPROTO_TCP
cdef int NEITHER, SYN, DATA


@cython.locals(tcp=_core.TCP)
cpdef int packet_kind(_core.Header ip) except -1
