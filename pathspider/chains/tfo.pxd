cimport cython

from pathspider.chains.base cimport Chain
from pathspider.chains.tcp cimport TCP_ACK, TCP_SYN, TO_EXPA, TO_EXPB, TO_FASTOPEN, is_bogus, next_option
from pathspider.libtrace cimport _core
from pathspider.libtrace._core cimport options_of


@cython.locals(at=int, end=int)
cpdef object tfo_option(bytes data)


cdef class TFOChain(Chain):
    @cython.locals(option=tuple)
    cpdef bint tcp(self, object rec, _core.TCP tcp, bint rev) except -1
