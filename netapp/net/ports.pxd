"""Ephemeral ports (RFC 6056, 3.3.3), and the keyed hash behind them and behind TCP's initial sequence numbers."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from netapp.net.key cimport key_t

cdef enum:
    # RFC 6335, 6: the dynamic ports.
    FIRST_PORT = 49152
    PORTS = 16384
    KEY_BYTES = 36               # of key_t, without the padding behind the ports, which is not written

cdef uint64_t siphash(const uint64_t* key, const uint8_t* data, uint32_t length) noexcept   # SipHash-2-4
cdef uint16_t port_offset(const uint64_t* key, key_t* connection) noexcept
