from pathspider.chains.base cimport Chain
from pathspider.libtrace cimport _core
from pathspider.libtrace._core cimport endpoints


cdef class BasicChain(Chain):
    cpdef bint new_flow(self, object rec, object ip) except -1
    cpdef bint ip4(self, object rec, _core.IP ip, bint rev) except -1
    cpdef bint ip6(self, object rec, _core.IP6 ip, bint rev) except -1
