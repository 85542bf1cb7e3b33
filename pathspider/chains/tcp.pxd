cimport cython

from pathspider.chains.base cimport Chain
from pathspider.libtrace cimport _core


cdef int TCP_FIN, TCP_SYN, TCP_RST, TCP_ACK
cdef int TO_EOL, TO_NOP, TO_MSS, TO_FASTOPEN, TO_EXPA, TO_EXPB
cdef long long SEQUENCE_NUMBERS


cpdef int next_option(bytes data, int at) except? -2


@cython.locals(options=dict, at=int, length=int)
cpdef dict parse_options(bytes data)


cpdef dict tcp_options(_core.TCP tcp)


@cython.locals(bogus=bint)
cpdef bint is_bogus(object rec, _core.TCP tcp, bint rev) except -1


@cython.locals(acknowledges=bint)
cdef bint _is_bogus(object rec, _core.TCP tcp, bint rev) except -1


cdef class TCPChain(Chain):
    @cython.locals(flags=int)
    cpdef bint tcp(self, object rec, _core.TCP tcp, bint rev) except -1
