"""ARP for IPv4 over Ethernet (RFC 826)."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy
from netapp.wire.bytes cimport load16, load32, store16, store32

cdef enum:
    # Layout: offsets of the fields.
    OFFSET_HARDWARE_TYPE = 0
    OFFSET_PROTOCOL_TYPE = 2
    OFFSET_HARDWARE_LENGTH = 4
    OFFSET_PROTOCOL_LENGTH = 5
    OFFSET_OPERATION = 6
    OFFSET_SENDER_MAC = 8
    OFFSET_SENDER_ADDRESS = 14
    OFFSET_TARGET_MAC = 18
    OFFSET_TARGET_ADDRESS = 24
    PACKET_BYTES = 28

cdef enum:
    OPERATION_REQUEST = 1
    OPERATION_REPLY = 2

cdef enum:
    # Of check(): why a packet is refused; REASONS in arp.py names them.
    TRUNCATED = 1                # less than 28 bytes
    BAD_TYPE                     # not Ethernet, or not IPv4
    BAD_LENGTH                   # of addresses that are none of these
    BAD_OPERATION


cdef inline int check(const uint8_t* packet, uint64_t length) noexcept:
    """0, or why the `length` bytes are no packet of ours. More bytes may follow: Ethernet pads."""
    if length < PACKET_BYTES:
        return TRUNCATED
    if load32(packet) != 0x00010800:
        return BAD_TYPE
    if load16(packet + OFFSET_HARDWARE_LENGTH) != 0x0604:
        return BAD_LENGTH
    if load16(packet + OFFSET_OPERATION) != OPERATION_REQUEST and load16(packet + OFFSET_OPERATION) != OPERATION_REPLY:
        return BAD_OPERATION
    return 0

cdef inline void write(
    uint8_t* packet, uint16_t operation, const uint8_t* sender_mac, uint32_t sender_address, const uint8_t* target_mac,
    uint32_t target_address,
) noexcept:
    """Addresses of IP as in memory."""
    store32(packet, 0x00010800)
    store16(packet + OFFSET_HARDWARE_LENGTH, 0x0604)
    store16(packet + OFFSET_OPERATION, operation)
    memcpy(packet + OFFSET_SENDER_MAC, sender_mac, 6)
    memcpy(packet + OFFSET_SENDER_ADDRESS, &sender_address, 4)
    memcpy(packet + OFFSET_TARGET_MAC, target_mac, 6)
    memcpy(packet + OFFSET_TARGET_ADDRESS, &target_address, 4)
