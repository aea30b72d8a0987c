"""Checksums and segmentation in software, for the side of the wire that cannot (RFC 1071, VIRTIO 1.2, 5.1.6.2)."""

from __future__ import annotations

import struct
from typing import NamedTuple

NEEDS_CSUM, DATA_VALID = 1, 2
GSO_NONE, GSO_TCPV4, GSO_UDP, GSO_TCPV6, GSO_UDP_L4, GSO_ECN = 0, 1, 3, 4, 5, 0x80
HEADER_BYTES = 12

_HEADER = struct.Struct("<BBHHHHH")


class Header(NamedTuple):
    """struct virtio_net_hdr."""

    flags: int = 0
    gso_type: int = 0
    hdr_len: int = 0
    gso_size: int = 0
    csum_start: int = 0
    csum_offset: int = 0
    num_buffers: int = 0

    def pack(self) -> bytes:
        return _HEADER.pack(*self)

    @classmethod
    def unpack(cls, data: bytes) -> Header:
        return cls(*_HEADER.unpack_from(data))


def ones_sum(data: bytes) -> int:
    """The ones' complement sum of the bytes, as 16 bits: 2^16 is 1 modulo 0xffff."""
    if len(data) & 1:
        data += b"\0"
    total = int.from_bytes(data, "big")
    return total % 0xFFFF or (0xFFFF if total else 0)


def link_length(frame: bytes) -> int:
    """Bytes of the Ethernet header, with up to two VLAN tags."""
    at = 14
    while at <= 18 and frame[at - 2 : at] in (b"\x81\x00", b"\x88\xa8"):
        at += 4
    return at


class Parts(NamedTuple):
    """Of an IPv4 frame: where its headers begin and end."""

    ip: int
    transport: int
    payload: int
    protocol: int
    end: int
    fragment: bool


def parts(frame: bytes) -> Parts | None:
    """None: no whole TCP or UDP packet of IPv4."""
    ip = link_length(frame)
    if len(frame) < ip + 20 or frame[ip - 2 : ip] != b"\x08\x00" or frame[ip] >> 4 != 4:
        return None
    transport = ip + (frame[ip] & 15) * 4
    end = ip + int.from_bytes(frame[ip + 2 : ip + 4], "big")
    protocol = frame[ip + 9]
    fragment = int.from_bytes(frame[ip + 6 : ip + 8], "big") & 0x3FFF != 0
    if transport < ip + 20 or end > len(frame) or end < transport:
        return None
    if protocol == 6 and end >= transport + 20:
        payload = transport + (frame[transport + 12] >> 4) * 4
    elif protocol == 17 and end >= transport + 8:
        payload = transport + 8
    else:
        return None
    return Parts(ip, transport, payload, protocol, end, fragment) if payload <= end else None


def pseudo_header_sum(frame: bytes, found: Parts, length: int) -> int:
    """Of `length` bytes of transport header and payload."""
    addresses = frame[found.ip + 12 : found.ip + 20]
    return ones_sum(addresses + bytes([0, found.protocol]) + (length & 0xFFFF).to_bytes(2, "big"))


def checksum_is_right(frame: bytes) -> bool:
    """Of a packet that says it has one; True for what is no TCP or UDP."""
    found = parts(frame)
    if found is None or found.fragment:
        return True
    if found.protocol == 17 and frame[found.transport + 6 : found.transport + 8] == b"\0\0":
        return True
    body = frame[found.transport : found.end]
    return (ones_sum(body) + pseudo_header_sum(frame, found, len(body))) % 0xFFFF == 0


def complete_checksum(frame: bytes, start: int, offset: int) -> bytes:
    """What NEEDS_CSUM asks for: the field holds the pseudo-header's sum."""
    checksum = ~ones_sum(frame[start:]) & 0xFFFF
    return b"".join((frame[: start + offset], (checksum or 0xFFFF).to_bytes(2, "big"), frame[start + offset + 2 :]))


def _with_ip(header: bytearray, ip: int, length: int, number: int) -> None:
    """Sets total length and identification, and the header checksum after them."""
    identification = int.from_bytes(header[ip + 4 : ip + 6], "big") + number & 0xFFFF
    header[ip + 2 : ip + 6] = length.to_bytes(2, "big") + identification.to_bytes(2, "big")
    header[ip + 10 : ip + 12] = b"\0\0"
    end = ip + (header[ip] & 15) * 4
    header[ip + 10 : ip + 12] = (~ones_sum(bytes(header[ip:end])) & 0xFFFF).to_bytes(2, "big")


def segments(frame: bytes, header: Header) -> list[bytes]:
    """What leaves for a frame with `header`: cut where it is to be cut, with checksums complete."""
    kind = header.gso_type & ~GSO_ECN
    if kind == GSO_NONE:
        return [complete_checksum(frame, header.csum_start, header.csum_offset) if header.flags & NEEDS_CSUM else frame]
    found = parts(frame)
    assert found is not None and header.gso_size, "the rules were checked before"
    head, body = frame[: found.payload], frame[found.payload : found.end]
    made = []
    for number, at in enumerate(range(0, len(body), header.gso_size)):
        piece = body[at : at + header.gso_size]
        last = at + header.gso_size >= len(body)
        new = bytearray(head)
        transport = found.transport
        length = len(head) - transport + len(piece)
        _with_ip(new, found.ip, len(head) - found.ip + len(piece), number)
        if found.protocol == 6:
            sequence = int.from_bytes(new[transport + 4 : transport + 8], "big") + at & 0xFFFFFFFF
            new[transport + 4 : transport + 8] = sequence.to_bytes(4, "big")
            if not last:
                new[transport + 13] &= ~0x09  # FIN and PSH are the last one's
            if number:
                new[transport + 13] &= ~0x80  # CWR is the first one's (RFC 3168, 6.1.2)
            field = transport + 16
        else:
            new[transport + 4 : transport + 6] = length.to_bytes(2, "big")
            field = transport + 6
        new[field : field + 2] = pseudo_header_sum(bytes(new), found, length).to_bytes(2, "big")
        made.append(complete_checksum(bytes(new) + piece, transport, field - transport))
    return made or [complete_checksum(frame, found.transport, header.csum_offset)]


def flow_of(frame: bytes) -> tuple[bytes, bytes] | None:
    """The two ends of a TCP or UDP flow, source first."""
    found = parts(frame)
    if found is None:
        return None
    ip, transport = found.ip, found.transport
    source = frame[ip + 12 : ip + 16] + frame[transport : transport + 2]
    return source, frame[ip + 16 : ip + 20] + frame[transport + 2 : transport + 4]
