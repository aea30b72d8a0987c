"""What a frame that the driver transmits must be (VIRTIO 1.2, 5.1.6.2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.virtio.model.frames import (
    GSO_ECN,
    GSO_NONE,
    GSO_TCPV4,
    GSO_TCPV6,
    GSO_UDP,
    GSO_UDP_L4,
    NEEDS_CSUM,
    Header,
    checksum_is_right,
    link_length,
    parts,
    pseudo_header_sum,
)
from tests.virtio.model.ring import Buffer

if TYPE_CHECKING:
    from tests.virtio.model.net import NetDevice

_FEATURES = {GSO_TCPV4: "HOST_TSO4", GSO_TCPV6: "HOST_TSO6", GSO_UDP: "HOST_UFO", GSO_UDP_L4: "HOST_USO"}
_CUT_HERE = {GSO_TCPV4: 6, GSO_UDP_L4: 17}
_CWR = 0x80


def check_transmitted(device: NetDevice, buffer: Buffer, header: Header, frame: bytes) -> bool:
    """False: the device drops it."""
    check, has = device.rules.check, device.has
    check(header.num_buffers == 0, "net-num-buffers", f"{header.num_buffers}")
    if buffer.writable or len(frame) < 14:
        check(False, "net-length", f"{len(buffer.writable)} elements to be written, a frame of {len(frame)} bytes")
        return False
    allowed = NEEDS_CSUM if has("CSUM") else 0
    check(not header.flags & ~allowed, "net-flags", f"{header.flags:#x}")
    if header.gso_type != GSO_NONE:
        return _check_segmented(device, header, frame)
    limit = (device.mtu if has("MTU") else 1500) + link_length(frame)
    check(len(frame) <= limit, "net-mtu-transmit" if has("MTU") else "net-oversized", f"{len(frame)} bytes of {limit}")
    if header.flags & NEEDS_CSUM:
        return _check_partial(device, header, frame)
    if device.check_checksums:
        check(checksum_is_right(frame), "net-checksum", "neither complete nor NEEDS_CSUM")
    return True


def _check_partial(device: NetDevice, header: Header, frame: bytes) -> bool:
    check = device.rules.check
    end = header.csum_start + header.csum_offset + 2
    if end > len(frame) or header.csum_start < 14:
        check(False, "net-checksum-range", f"{header.csum_start} + {header.csum_offset} of {len(frame)}")
        return False
    found = parts(frame)
    if found is None or found.fragment:
        return True
    field = {6: 16, 17: 6}[found.protocol]
    held = header.csum_start == found.transport and header.csum_offset == field
    check(
        held, "net-checksum-range", f"{header.csum_start} + {header.csum_offset}: it is at {found.transport} + {field}"
    )
    stored = int.from_bytes(frame[found.transport + field : found.transport + field + 2], "big")
    expected = pseudo_header_sum(frame, found, found.end - found.transport)
    check(
        stored % 0xFFFF == expected % 0xFFFF, "net-checksum", f"{stored:#06x}, the pseudo-header's is {expected:#06x}"
    )
    return True


def _check_segmented(device: NetDevice, header: Header, frame: bytes) -> bool:
    check, has = device.rules.check, device.has
    kind = header.gso_type & ~GSO_ECN
    if not has(_FEATURES.get(kind, "SR_IOV")):
        check(False, "net-gso-type", f"{header.gso_type:#x}")
        return False
    if not header.flags & NEEDS_CSUM or not header.gso_size:
        check(False, "net-gso-checksum", f"flags {header.flags:#x}, gso_size {header.gso_size}")
        return False
    if kind not in _CUT_HERE:
        device.count["tx_not_segmented"] += 1  # IPv6 and UFO: no driver of ours asks for them
        return False
    found = parts(frame)
    if found is None or found.protocol != _CUT_HERE[kind] or found.fragment or found.payload >= found.end:
        check(False, "net-gso-header", f"gso_type {header.gso_type:#x}")
        return False
    headers = found.payload
    exact = header.hdr_len == headers if has("GUEST_HDRLEN") else header.hdr_len >= headers
    check(exact, "net-header-length", f"{header.hdr_len}, the headers have {headers}")
    cwr = found.protocol == 6 and frame[found.transport + 13] & _CWR != 0
    if header.gso_type & GSO_ECN:
        check(has("HOST_ECN"), "net-ecn", "the ECN bit without HOST_ECN")
    else:
        check(not cwr, "net-ecn", "CWR without the ECN bit")
    return _check_partial(device, header, frame)
