"""What tells one connection from another."""
from libc.stdint cimport uint32_t
from netapp.net.address cimport address_t

cdef struct key_t:
    address_t remote
    address_t local
    uint32_t ports               # remote << 16 | local
