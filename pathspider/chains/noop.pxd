from pathspider.chains.base cimport Chain
from pathspider.libtrace cimport _core


cdef class NoOpChain(Chain):
    cpdef bint new_flow(self, object rec, object ip) except -1
    cpdef bint ip4(self, object rec, _core.IP ip, bint rev) except -1
    cpdef bint ip6(self, object rec, _core.IP6 ip, bint rev) except -1
    cpdef bint tcp(self, object rec, _core.TCP tcp, bint rev) except -1
    cpdef bint udp(self, object rec, _core.UDP udp, bint rev) except -1
    cpdef bint icmp4(self, object rec, _core.IP ip, object q, bint rev) except -1
    cpdef bint icmp6(self, object rec, _core.IP6 ip, object q, bint rev) except -1
