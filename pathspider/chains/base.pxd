from pathspider.libtrace._core cimport ChainBase


cdef class Chain(ChainBase):
    cdef public dict initial
    cpdef bint new_flow(self, object rec, object ip) except -1
