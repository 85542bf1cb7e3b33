cimport cython

from pathspider.chains.base cimport Chain
from pathspider.chains.tcp cimport TCP_SYN, is_bogus
from pathspider.libtrace cimport _core
from pathspider.libtrace._core cimport hex_of


@cython.locals(flags=int, tcp=_core.TCP)
cpdef keep(object rec, _core.Header ip, bint rev, int octets)


cdef class HeadersChain(Chain):
    cpdef bint ip4(self, object rec, _core.IP ip, bint rev) except -1
    cpdef bint ip6(self, object rec, _core.IP6 ip, bint rev) except -1
