cimport cython

from pathspider.chains.base cimport Chain
from pathspider.chains.tcp cimport TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN
from pathspider.libtrace cimport _core
from pathspider.libtrace._core cimport captured_at


cdef str NO_HANDSHAKE, REFUSED, BY_ICMP, NO_ANSWER
cdef int UNREACHABLE4, FRAGMENTATION_NEEDED, EXPIRED4, PARAMETER4, UNREACHABLE6, EXPIRED6, PARAMETER6


cpdef object ttl_of(_core.TCP tcp)


@cython.locals(sequence=cython.longlong, data=cython.longlong)
cpdef bint acknowledges(object rec, _core.TCP tcp) except -1


@cython.locals(now=double, data=cython.longlong)
cpdef object note_syn(object rec, _core.TCP tcp)


cpdef object note_rst(object rec, _core.TCP tcp)


@cython.locals(now=double, sent=double, microseconds=cython.longlong)
cpdef object note_synack(object rec, _core.TCP tcp)


cpdef object note_question(object rec, object now)


cpdef object note_answer(object rec, object now)


cpdef object note_error(object rec, _core.ICMPBase icmp, _core.Header ip, dict quoted)


cdef class EvidenceChain(Chain):
    @cython.locals(flags=int)
    cpdef bint tcp(self, object rec, _core.TCP tcp, bint rev) except -1
    cpdef bint udp(self, object rec, _core.UDP udp, bint rev) except -1
    @cython.locals(icmp=_core.ICMP, kind=int)
    cpdef bint icmp4(self, object rec, _core.IP ip, object q, bint rev) except -1
    @cython.locals(icmp=_core.ICMP6, kind=int)
    cpdef bint icmp6(self, object rec, _core.IP6 ip, object q, bint rev) except -1
