from pathspider.chains.base cimport Chain
from pathspider.libtrace cimport _core


cdef class SizesChain(Chain):
    cpdef bint ip4(self, object rec, _core.IP ip, bint rev) except -1
    cpdef bint ip6(self, object rec, _core.IP6 ip, bint rev) except -1
