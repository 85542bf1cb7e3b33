cimport cython

from pathspider.chains.base cimport Chain
from pathspider.chains.tcp cimport TCP_RST, TCP_SYN, SEQUENCE_NUMBERS, parse_options
from pathspider.libtrace cimport _core
from pathspider.libtrace._core cimport options_of


@cython.locals(tcp=_core.TCP, octets=long)
cpdef note_feedback(object rec, object ip, bint rev)


cdef class FeedbackChain(Chain):
    cpdef bint ip4(self, object rec, _core.IP ip, bint rev) except -1
    cpdef bint ip6(self, object rec, _core.IP6 ip, bint rev) except -1
