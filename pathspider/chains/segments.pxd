cimport cython

from pathspider.chains.base cimport Chain
from pathspider.chains.tcp cimport TCP_SYN
from pathspider.libtrace cimport _core
from pathspider.libtrace._core cimport payload_of


cdef class SegmentsChain(Chain):
    @cython.locals(octets=cython.longlong, following=object)
    cpdef bint tcp(self, object rec, _core.TCP tcp, bint rev) except -1
