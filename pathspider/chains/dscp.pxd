from pathspider.chains.base cimport Chain
from pathspider.chains.kind cimport NEITHER, SYN, believed_kind
from pathspider.libtrace cimport _core


cpdef note_codepoint(object rec, int kind, int codepoint, bint rev)


cdef class DSCPChain(Chain):
    cpdef bint ip4(self, object rec, _core.IP ip, bint rev) except -1
    cpdef bint ip6(self, object rec, _core.IP6 ip, bint rev) except -1
