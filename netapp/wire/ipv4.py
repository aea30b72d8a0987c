"""The IPv4 header (RFC 791): as fields, as bytes, as a line of text."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from typing import Any

from cython.cimports.cpython.bytes import PyBytes_AS_STRING
from cython.cimports.libc.stdint import uint8_t, uint16_t, uint32_t
from cython.cimports.libc.string import memcpy
from cython.cimports.netapp.wire.bytes import load16, raw32

from netapp.wire import icmp, tcp, udp

ICMP = PROTOCOL_ICMP
TCP = PROTOCOL_TCP
UDP = PROTOCOL_UDP
REASONS = (
    "",
    "truncated",
    "split header",
    "bad version",
    "bad header length",
    "bad total length",
    "bad checksum",
)


def parse(data: bytes) -> dict[str, Any]:
    """The fields by name; ValueError says why there are none."""
    at: cython.pointer(uint8_t) = cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(data))
    reason: cython.int = check(at, len(data), len(data))
    length: uint32_t
    fragment: uint16_t
    if reason:
        raise ValueError(REASONS[reason])
    length = header_length(at)
    fragment = load16(at + OFFSET_FRAGMENT)
    return {
        "header_length": length,
        "traffic_class": at[OFFSET_TRAFFIC_CLASS],
        "total_length": load16(at + OFFSET_TOTAL_LENGTH),
        "identification": load16(at + OFFSET_IDENTIFICATION),
        "dont_fragment": bool(fragment & DONT_FRAGMENT),
        "more_fragments": bool(fragment & MORE_FRAGMENTS),
        "fragment_offset": (fragment & FRAGMENT_OFFSET) * 8,
        "ttl": at[OFFSET_TTL],
        "protocol": at[OFFSET_PROTOCOL],
        "checksum": load16(at + OFFSET_CHECKSUM),
        "source": data[OFFSET_SOURCE:OFFSET_DESTINATION],
        "destination": data[OFFSET_DESTINATION:HEADER_BYTES_MIN],
        "options": data[HEADER_BYTES_MIN:length],
        "payload": data[length : load16(at + OFFSET_TOTAL_LENGTH)],
    }


def build(
    source: bytes,
    destination: bytes,
    protocol: int,
    payload: bytes = b"",
    options: bytes = b"",
    identification: int = 0,
    fragment: int = DONT_FRAGMENT,
    ttl: int = 64,
    traffic_class: int = 0,
) -> bytes:
    """A packet with its header's checksum; `fragment`: flags and offset as they stand in the header."""
    header: uint8_t[HEADER_BYTES_MAX]
    length: uint32_t = HEADER_BYTES_MIN + len(options)
    stored: uint16_t
    if len(source) != 4 or len(destination) != 4:
        raise ValueError("an IPv4 address has 4 bytes")
    if len(options) % 4 or len(options) > HEADER_BYTES_MAX - HEADER_BYTES_MIN:
        raise ValueError("IPv4 options have a multiple of 4 bytes, at most 40")
    if length + len(payload) > 65535:
        raise ValueError("an IPv4 packet has at most 65535 bytes")
    write(
        header,
        raw32(PyBytes_AS_STRING(source)),
        raw32(PyBytes_AS_STRING(destination)),
        protocol,
        length,
        length + len(payload),
        identification,
        fragment,
        ttl,
        traffic_class,
    )
    memcpy(header + HEADER_BYTES_MIN, PyBytes_AS_STRING(options), len(options))
    stored = ~fold(sum_bytes(header, length, 0))
    memcpy(header + OFFSET_CHECKSUM, cython.address(stored), 2)
    return header[:length] + payload


def summary(data: bytes) -> str:
    """Like a line of tcpdump."""
    try:
        fields = parse(data)
    except ValueError as error:
        return f"IPv4 [{error}]"
    source, destination = (".".join(map(str, fields[name])) for name in ("source", "destination"))
    if fields["fragment_offset"] or fields["more_fragments"]:
        more = "+" if fields["more_fragments"] else ""
        where = f"{len(fields['payload'])}@{fields['fragment_offset']}{more}"
        return f"{source} > {destination}: protocol {fields['protocol']} fragment {fields['identification']}:{where}"
    if fields["protocol"] == TCP:
        return tcp.summary(fields["payload"], source, destination)
    if fields["protocol"] == UDP:
        return udp.summary(fields["payload"], source, destination)
    if fields["protocol"] == ICMP:
        return f"{source} > {destination}: {icmp.summary(fields['payload'])}"
    return f"{source} > {destination}: protocol {fields['protocol']}, length {len(fields['payload'])}"
