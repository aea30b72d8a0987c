"""The connection table: open addressing, linear probing, deletion by shifting back; O(1), resizes."""
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
    cdef readonly uint32_t count
    cdef uint64_t secret[3]                  # a peer that chooses its ports cannot choose the bucket
    cdef inline uint32_t hash_of(self, key_t* key) noexcept:
        return <uint32_t>(
            mix(key.remote.low ^ self.secret[0], key.remote.high ^ self.secret[1])
            ^ mix(key.local.low ^ self.secret[2] ^ key.local.high, key.ports ^ self.secret[0])
        )
    cdef int insert(self, Connection connection) except -1
    cdef int remove(self, Connection connection) except -1       # 0: it was not in
    cdef int _grow(self) except -1
    cpdef list all(self)
