cimport cython

from pathspider.chains.base cimport Chain
from pathspider.chains.tcp cimport TCP_SYN, TO_EOL, TO_MSS, TO_NOP, is_bogus
from pathspider.libtrace cimport _core
from pathspider.libtrace._core cimport options_of


cdef int MSS_LENGTH


@cython.locals(usable=bint, good=bint, at=int, length=int, there=int, value=int)
cpdef mss_option(bytes data)


cdef class MSSChain(Chain):
    @cython.locals(option=tuple)
    cpdef bint tcp(self, object rec, _core.TCP tcp, bint rev) except -1
