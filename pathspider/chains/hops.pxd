cimport cython

from pathspider.chains.base cimport Chain
from pathspider.libtrace cimport _core


cdef int TTL_EXCEEDED4, TTL_EXCEEDED6, IN_TRANSIT, MOST


cpdef object note_hop(object rec, _core.ICMPBase icmp, _core.Header ip, int version)


cdef class HopsChain(Chain):
    @cython.locals(icmp=_core.ICMP)
    cpdef bint icmp4(self, object rec, _core.IP ip, object q, bint rev) except -1
    @cython.locals(icmp=_core.ICMP6)
    cpdef bint icmp6(self, object rec, _core.IP6 ip, object q, bint rev) except -1
