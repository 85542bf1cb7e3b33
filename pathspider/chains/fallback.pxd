cimport cython

from pathspider.chains.base cimport Chain
from pathspider.chains.tcp cimport TCP_ACK, TCP_SYN, is_bogus
from pathspider.libtrace cimport _core


cdef class FallbackChain(Chain):
    @cython.locals(flags=int)
    cpdef bint tcp(self, object rec, _core.TCP tcp, bint rev) except -1
