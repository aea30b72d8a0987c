"""Initial sequence numbers (RFC 6528) by a keyed hash."""
from libc.stdint cimport uint32_t, uint64_t
from netapp.net.key cimport key_t

cdef uint32_t initial_sequence(const uint64_t* key, key_t* connection, uint64_t now) noexcept
