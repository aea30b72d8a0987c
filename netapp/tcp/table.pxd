"""The connection table: open addressing, linear probing, deletion by shifting back; O(1).

It grows a little with each insertion: what was there before moves from the smaller array piece by piece, so that no turn
is long.
"""
from cpython.ref cimport PyObject
from libc.stdint cimport uint32_t, uint64_t
from cython cimport final
from netapp.iobuf.mix cimport mix
from netapp.tcp.connection cimport Connection
from netapp.net.key cimport key_t

cdef struct entry_t:
    PyObject* connection         # one reference; NULL: free
    uint32_t hash


@final
cdef class ConnectionTable:
    cdef entry_t* entries
    cdef uint32_t mask
    cdef readonly uint32_t count             # in both arrays
    cdef entry_t* before                     # the smaller array, while some have not moved yet; else NULL
    cdef uint32_t before_mask
    cdef uint32_t moved                      # places of the smaller array that are empty for good
    cdef uint64_t secret[3]                  # a peer that chooses its ports cannot choose the bucket
    cdef inline uint32_t hash_of(self, key_t* key) noexcept:
        return <uint32_t>(
            mix(key.remote.low ^ self.secret[0], key.remote.high ^ self.secret[1])
            ^ mix(key.local.low ^ self.secret[2] ^ key.local.high, key.ports ^ self.secret[0])
        )
    cdef int insert(self, Connection connection) except -1
    cdef int remove(self, Connection connection) except -1       # 0: it was not in
    # In the smaller array; borrowed; NULL: not there.
    cdef PyObject* find_before(self, key_t* key, uint32_t hashed) noexcept
    cdef int _grow(self) except -1
    cdef void _move(self, uint32_t places) noexcept
    cpdef list all(self)
