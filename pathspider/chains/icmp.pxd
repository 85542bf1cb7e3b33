from pathspider.chains.base cimport Chain
from pathspider.libtrace cimport _core


cdef class ICMPChain(Chain):
    cpdef bint icmp4(self, object rec, _core.IP ip, object q, bint rev) except -1
    cpdef bint icmp6(self, object rec, _core.IP6 ip, object q, bint rev) except -1
