cimport cython

from pathspider.chains.base cimport Chain
from pathspider.chains.tcp cimport TCP_SYN, TO_MSS, tcp_options
from pathspider.libtrace cimport _core


cdef class MSSChain(Chain):
    @cython.locals(value=bytes)
    cpdef bint tcp(self, dict rec, _core.TCP tcp, bint rev) except -1
