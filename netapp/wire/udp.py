"""The UDP header (RFC 768): as fields, as bytes, as a line of text."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from typing import Any

from cython.cimports.cpython.bytes import PyBytes_AS_STRING
from cython.cimports.libc.stdint import uint8_t, uint16_t
from cython.cimports.libc.string import memcpy
from cython.cimports.netapp.wire.bytes import load16, raw32
from cython.cimports.netapp.wire.checksum import fold, sum_bytes, sum_pseudo_header

REASONS = ("", "truncated", "bad length")


def parse(data: bytes) -> dict[str, Any]:
    """The fields by name; ValueError says why there are none."""
    at: cython.pointer(uint8_t) = cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(data))
    reason: cython.int = check(at, len(data))
    if reason:
        raise ValueError(REASONS[reason])
    return {
        "source_port": load16(at + OFFSET_SOURCE_PORT),
        "destination_port": load16(at + OFFSET_DESTINATION_PORT),
        "length": load16(at + OFFSET_LENGTH),
        "checksum": load16(at + OFFSET_CHECKSUM),
        "payload": data[HEADER_BYTES : load16(at + OFFSET_LENGTH)],
    }


def build(source: bytes, destination: bytes, source_port: int, destination_port: int, payload: bytes = b"") -> bytes:
    """A datagram with its checksum, which covers the IPv4 addresses too."""
    header: uint8_t[HEADER_BYTES]
    length: cython.Py_ssize_t = HEADER_BYTES + len(payload)
    datagram: bytes
    total: cython.ulonglong
    checksum: uint16_t
    if len(source) != 4 or len(destination) != 4:
        raise ValueError("an IPv4 address has 4 bytes")
    if length > 65535:
        raise ValueError("a UDP datagram has at most 65535 bytes")
    write(header, source_port, destination_port, cython.cast(uint16_t, length))
    datagram = header[:HEADER_BYTES] + payload
    total = sum_pseudo_header(raw32(PyBytes_AS_STRING(source)), raw32(PyBytes_AS_STRING(destination)), 17, length)
    checksum = stored(fold(sum_bytes(cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(datagram)), length, total)))
    memcpy(header + OFFSET_CHECKSUM, cython.address(checksum), 2)
    return header[:HEADER_BYTES] + payload


def summary(data: bytes, source: str = "", destination: str = "") -> str:
    """Like a line of tcpdump."""
    try:
        fields = parse(data)
    except ValueError as error:
        return f"{source} > {destination}: UDP [{error}]"
    line = f"{source}.{fields['source_port']} > {destination}.{fields['destination_port']}: UDP"
    if not fields["checksum"]:
        line += ", no checksum"
    return f"{line}, length {len(fields['payload'])}"
