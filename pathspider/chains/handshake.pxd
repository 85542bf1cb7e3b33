cimport cython

from pathspider.chains.base cimport Chain
from pathspider.chains.tcp cimport TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN, is_bogus
from pathspider.libtrace cimport _core
from pathspider.libtrace._core cimport captured_at, options_of


cdef int FIXED_BYTES, NOTHING_YET, ASKED, ANSWERED, CONTRADICTED
cdef double SOONEST_RESEND


cpdef bint is_cut(_core.TCP tcp) except -1


cpdef int after_syn(object rec, _core.TCP tcp, int state) except -1


cpdef bint is_first(object rec, _core.TCP tcp, int state) except -1


@cython.locals(again=bint)
cpdef int after_syn_ack(object rec, _core.TCP tcp, int state) except -1


cdef class HandshakeChain(Chain):
    @cython.locals(state=int, bogus=bint, others=int)
    cpdef bint tcp(self, object rec, _core.TCP tcp, bint rev) except -1
