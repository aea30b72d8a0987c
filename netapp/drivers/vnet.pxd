"""The struct virtio_net_hdr (VIRTIO 1.2, 5.1.6) before each frame, of a virtio device and of a tap. Its fields are in the
byte order of the machine, which is little-endian."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from netapp.drivers.access cimport load16, load64
from netapp.iobuf.chain cimport CHECKSUM_PARTIAL, CHECKSUM_VALID, GSO_NONE, GSO_TCPV4, GSO_UDP_L4, offload_t
from netapp.iobuf.pool cimport iobuf_t

cdef enum:
    VNET_BYTES = 12
    LONGEST_FRAME = 65562        # 5.1.6.3.1, without its header
    FIRST_BYTES = 1920           # of a received frame, in its first slot: FRAME_BYTES - HEADROOM

cdef packed struct vnet_header_t:
    uint8_t flags
    uint8_t gso_type
    uint16_t header_length
    uint16_t gso_size
    uint16_t csum_start
    uint16_t csum_offset
    uint16_t num_buffers

cdef inline vnet_header_t* own_room(iobuf_t* view) noexcept:
    """The place right before a frame's first view, where that is ours to write; else NULL. Only there can header and view
    be one piece."""
    if (
        view.slot.references == 1
        and view.data - view.slot.memory >= VNET_BYTES
        and view.slot.home.size != 0
    ):
        return <vnet_header_t*>(view.data - VNET_BYTES)
    return NULL

cdef inline void put_offload(vnet_header_t* header, offload_t* offload) noexcept:
    """5.1.6.2.1: what is not asked for is zero, and so is num_buffers."""
    (<uint64_t*>header)[0] = 0
    (<uint32_t*>header)[2] = 0
    if offload.flags & CHECKSUM_PARTIAL:
        header.flags = CHECKSUM_PARTIAL
        header.gso_type = offload.gso_type
        header.header_length = offload.header_length
        header.gso_size = offload.gso_size
        header.csum_start = offload.csum_start
        header.csum_offset = offload.csum_offset

cdef inline bint says_something(vnet_header_t* header) noexcept:
    """Whether there is anything for take_offload()."""
    return load16(<uint64_t>header) & 0x7f03 != 0

cdef inline bint take_offload(vnet_header_t* header, offload_t* offload, uint32_t length) noexcept:
    """What the other side says about a frame of this length; False when it does not fit the frame. The header is read
    once: what is checked is what is used, even if it changes."""
    cdef uint64_t fields = load64(<uint64_t>header)
    # The first eight bytes of both are alike, but for flags that mean nothing here, and for ECN beside gso_type.
    (<uint64_t*>offload)[0] = fields & <uint64_t>0xffffffffffff7f03
    offload.csum_offset = load16(<uint64_t>header + 8)
    if fields & 0x7f03 == 0:
        return True
    if fields & CHECKSUM_PARTIAL:
        # The field lies in the first view.
        if length > FIRST_BYTES:
            length = FIRST_BYTES
        if <uint32_t>offload.csum_start + offload.csum_offset + 2 > length:
            return False
    elif offload.gso_type != GSO_NONE and not fields & CHECKSUM_VALID:
        return False
    if offload.gso_type == GSO_NONE:
        return True
    # Nothing else was asked for.
    return (offload.gso_type == GSO_TCPV4 or offload.gso_type == GSO_UDP_L4) and offload.gso_size != 0
