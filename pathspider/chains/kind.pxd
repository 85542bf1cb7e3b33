cimport cython

from pathspider.chains.tcp cimport TCP_SYN, is_bogus
from pathspider.libtrace cimport _core

cdef int IPPROTO_TCP
cdef int NEITHER, SYN, DATA


@cython.locals(tcp=_core.TCP)
cpdef int packet_kind(_core.Header ip) except -1


@cython.locals(kind=int)
cpdef int believed_kind(object rec, _core.Header ip, bint rev) except -1
