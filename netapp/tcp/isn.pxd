"""Initial sequence numbers (RFC 6528) and ephemeral ports (RFC 6056, 3.3.3) by a keyed hash."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from netapp.tcp.key cimport key_t

cdef uint64_t siphash(const uint64_t* key, const uint8_t* data, uint32_t length) noexcept   # SipHash-2-4
cdef uint32_t initial_sequence(const uint64_t* key, key_t* connection, uint64_t now) noexcept
cdef uint16_t port_offset(const uint64_t* key, key_t* connection) noexcept
