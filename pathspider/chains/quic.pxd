cimport cython

from pathspider.chains.base cimport Chain
from pathspider.libtrace cimport _core
from pathspider.libtrace._core cimport payload_of


cdef int LONG, FIXED, SPIN, LONGEST_ID, SHORTEST, FIRST_DATAGRAM, TRIES, COALESCED
cdef int INITIAL, RETRY, NEGOTIATION, UNKNOWN, NOT_QUIC
cdef tuple SEEN, COUNTS, SHORT, SPIN_SET, SPIN_FLIPS


@cython.locals(first=cython.longlong)
cpdef long long version_at(bytes data, int at) except -1


cpdef bint is_reserved(long long version) except -1


@cython.locals(size=int)
cpdef int ids_end(bytes data, int at) except -2


@cython.locals(version=cython.longlong, size=int, kind=int)
cpdef int long_kind(bytes data, int at, int end, bint begun) except -2


@cython.locals(end=int)
cpdef bint begins(bytes data) except -1


cpdef int note_long(object rec, bytes data, int at, bint rev) except -2


cpdef object note_initial(object rec, object packet, bint rev)


@cython.locals(spin=bint, spins=list)
cpdef object note_short(object rec, int first, bint rev)


@cython.locals(size=int)
cpdef bint is_same_id(bytes data, int at) except -1


cdef class QUICChain(Chain):
    @cython.locals(data=bytes, size=int, at=int, end=int, packets=int, mark=int)
    cpdef bint udp(self, object rec, _core.UDP udp, bint rev) except -1
