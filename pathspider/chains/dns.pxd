cimport cython

from pathspider.chains.base cimport Chain
from pathspider.libtrace cimport _core
from pathspider.libtrace._core cimport payload_of


@cython.locals(end=int, least=int, size=int, length=int, begun=list)
cpdef int skip_name(bytes message, int at, set known) except? -2


@cython.locals(size=int, questions=int, records=int, at=int, kind=int, length=int, known=set, update=bint, empty=bint)
cpdef bint is_response(bytes message) except -1


@cython.locals(size=int, records=int)
cpdef bint may_be_response(bytes data) except -1


cdef int LOOKED_AT


cdef class DNSChain(Chain):
    @cython.locals(data=bytes, sequence=cython.longlong, start=cython.longlong, before=cython.longlong)
    cpdef bint tcp(self, object rec, _core.TCP tcp, bint rev) except -1
    @cython.locals(data=bytes)
    cpdef bint udp(self, object rec, _core.UDP udp, bint rev) except -1
