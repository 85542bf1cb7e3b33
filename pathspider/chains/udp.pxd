from pathspider.chains.base cimport Chain
from pathspider.libtrace cimport _core


cdef class UDPChain(Chain):
    cpdef bint udp(self, object rec, _core.UDP udp, bint rev) except -1
