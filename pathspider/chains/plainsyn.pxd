cimport cython

from pathspider.chains.base cimport Chain
from pathspider.chains.tcp cimport TCP_ACK, TCP_SYN, is_bogus
from pathspider.chains.tfo cimport tfo_option
from pathspider.libtrace cimport _core
from pathspider.libtrace._core cimport options_of


cdef class PlainSYNChain(Chain):
    cpdef bint tcp(self, object rec, _core.TCP tcp, bint rev) except -1
