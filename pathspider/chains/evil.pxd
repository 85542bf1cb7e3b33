cimport cython

from pathspider.chains.base cimport Chain
from pathspider.chains.kind cimport NEITHER, SYN, believed_kind
from pathspider.libtrace cimport _core


cdef class EvilChain(Chain):
    @cython.locals(kind=int)
    cpdef bint ip4(self, object rec, _core.IP ip, bint rev) except -1
