"""What tells one connection from another."""
from libc.stdint cimport uint32_t
from netapp.net.address cimport address_t, same

cdef struct key_t:
    address_t remote
    address_t local
    uint32_t ports               # remote << 16 | local

cdef inline bint same_key(const key_t* a, const key_t* b) noexcept:
    return a.ports == b.ports and same(a.remote, b.remote) and same(a.local, b.local)
