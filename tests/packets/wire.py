"""IPv4 packets as bytes: what the script sends, and what came from the stack."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from netapp.wire.checksum import checksum
from tests.packets.mutations import resize, set_fields, spoil_checksum
from tests.packets.script import Mutation

ICMP, TCP, UDP = 1, 6, 17
_PROTOCOLS = {ICMP: "icmp", TCP: "tcp", UDP: "udp"}
_CHECKSUM_AT = {ICMP: 2, TCP: 16, UDP: 6}


@dataclass(frozen=True)
class Headers:
    """IPv4's, of one direction."""

    source: bytes
    destination: bytes
    tos: int = 0
    ttl: int = 64
    identification: int = 1


def tcp_segment(
    ports: tuple[int, int], seq: int, ack: int, flags: int, window: int, urgent: int, options: bytes, text: bytes
) -> bytes:
    offset = (20 + len(options)) // 4 << 4
    return struct.pack("!HHIIBBHHH", *ports, seq, ack, offset, flags, window, 0, urgent) + options + text


def udp_datagram(ports: tuple[int, int], text: bytes) -> bytes:
    return struct.pack("!HHHH", *ports, 8 + len(text), 0) + text


def ipv4(headers: Headers, protocol: int, length: int) -> bytearray:
    """The header of a packet with `length` bytes behind it; its checksum is not made."""
    return bytearray(
        struct.pack(
            "!BBHHHBBH4s4s",
            0x45,
            headers.tos,
            20 + length,
            headers.identification,
            0x4000,
            headers.ttl,
            protocol,
            0,
            headers.source,
            headers.destination,
        )
    )


def packet(headers: Headers, protocol: int, body: bytes, mutations: Iterable[Mutation] = ()) -> bytes:
    """With checksums, which are right, or as `mutations` say."""
    made = ipv4(headers, protocol, len(body)) + body
    name, at = _PROTOCOLS[protocol], 20 + _CHECKSUM_AT[protocol]
    set_fields(made, 20, name, mutations)
    made[at : at + 2] = b"\0\0"
    covered = bytes(made[20:])
    if protocol != ICMP:
        covered = _pseudo_header(headers.source, headers.destination, protocol, len(covered)) + covered
    made[at : at + 2] = checksum(covered).to_bytes(2, "big")
    spoil_checksum(made, 20, name, mutations)
    set_fields(made, 0, "ip", mutations)
    made[10:12] = checksum(bytes(made[: (made[0] & 15) * 4 or 20])).to_bytes(2, "big")
    spoil_checksum(made, 0, "ip", mutations)
    return bytes(resize(made, mutations))


def _pseudo_header(source: bytes, destination: bytes, protocol: int, length: int) -> bytes:
    return source + destination + bytes([0, protocol]) + length.to_bytes(2, "big")


# --- what came -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LiveTcp:
    ports: tuple[int, int]  # source, destination
    seq: int
    ack: int
    flags: int
    window: int
    urgent: int
    options: bytes
    text: bytes


@dataclass(frozen=True)
class LiveUdp:
    ports: tuple[int, int]
    text: bytes


@dataclass(frozen=True)
class LiveIcmp:
    type: int
    code: int
    rest: bytes  # the second word of the header
    payload: bytes


@dataclass(frozen=True)
class LivePacket:
    time: int
    source: bytes
    destination: bytes
    tos: int
    ttl: int
    body: LiveTcp | LiveUdp | LiveIcmp


class BadPacket(ValueError):
    """The stack sent what is no packet, whatever the script expects."""


def parse(time: int, data: bytes) -> LivePacket:
    """BadPacket: a length or checksum is wrong."""
    if len(data) < 20 or data[0] != 0x45:
        raise BadPacket(f"no IPv4 header: {data[:20].hex()}")
    total = int.from_bytes(data[2:4], "big")
    if checksum(data[:20]) != 0:
        raise BadPacket(f"bad IP checksum: {data[:20].hex()}")
    if total > len(data) or any(data[total:]):
        raise BadPacket(f"IP total length {total} of {len(data)} bytes")
    source, destination, protocol, body = data[12:16], data[16:20], data[9], data[20:total]
    if protocol not in _PROTOCOLS:
        raise BadPacket(f"IP protocol {protocol}")
    covered = body
    if protocol != ICMP:
        covered = _pseudo_header(source, destination, protocol, len(body)) + body
    if checksum(covered) != 0 and not (protocol == UDP and body[6:8] == b"\0\0"):
        raise BadPacket(f"bad {_PROTOCOLS[protocol].upper()} checksum: {body[:20].hex()}")
    inner = parse_tcp(body) if protocol == TCP else parse_udp(body) if protocol == UDP else parse_icmp(body)
    return LivePacket(time, source, destination, data[1], data[8], inner)


def parse_tcp(data: bytes) -> LiveTcp:
    source, destination, seq, ack, offset, flags, window, _, urgent = struct.unpack("!HHIIBBHHH", data[:20])
    length = (offset >> 4) * 4
    if not 20 <= length <= len(data):
        raise BadPacket(f"TCP data offset {length}")
    return LiveTcp((source, destination), seq, ack, flags, window, urgent, data[20:length], data[length:])


def parse_udp(data: bytes) -> LiveUdp:
    source, destination, length, _ = struct.unpack("!HHHH", data[:8])
    if length != len(data):
        raise BadPacket(f"UDP length {length} of {len(data)} bytes")
    return LiveUdp((source, destination), data[8:])


def parse_icmp(data: bytes) -> LiveIcmp:
    if len(data) < 8:
        raise BadPacket(f"ICMP of {len(data)} bytes")
    return LiveIcmp(data[0], data[1], data[4:8], data[8:])
