from pathspider.chains.base cimport Chain
from pathspider.libtrace cimport _core


cdef class DNSChain(Chain):
    cpdef bint tcp(self, dict rec, _core.TCP tcp, bint rev) except -1
    cpdef bint udp(self, dict rec, _core.UDP udp, bint rev) except -1
