"""The TCP header (RFC 9293): as fields, as bytes, as a line of text."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from typing import Any

from cython.cimports.cpython.bytes import PyBytes_AS_STRING
from cython.cimports.libc.stdint import uint8_t, uint16_t, uint32_t
from cython.cimports.libc.string import memcpy
from cython.cimports.netapp.wire.bytes import load16, load32, raw32
from cython.cimports.netapp.wire.checksum import fold, sum_bytes, sum_pseudo_header

FIN = FLAG_FIN
SYN = FLAG_SYN
RST = FLAG_RST
PSH = FLAG_PSH
ACK = FLAG_ACK
URG = FLAG_URG
ECE = FLAG_ECE
CWR = FLAG_CWR
REASONS = ("", "truncated", "bad data offset")

_LETTERS = ((FIN, "F"), (SYN, "S"), (RST, "R"), (PSH, "P"), (ACK, "."), (URG, "U"), (ECE, "E"), (CWR, "W"))


def parse(data: bytes) -> dict[str, Any]:
    """The fields by name; ValueError says why there are none."""
    at: cython.pointer(uint8_t) = cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(data))
    reason: cython.int = check(at, len(data))
    length: uint32_t
    if reason:
        raise ValueError(REASONS[reason])
    length = header_length(at)
    return {
        "source_port": load16(at + OFFSET_SOURCE_PORT),
        "destination_port": load16(at + OFFSET_DESTINATION_PORT),
        "sequence": load32(at + OFFSET_SEQUENCE),
        "acknowledgment": load32(at + OFFSET_ACKNOWLEDGMENT),
        "header_length": length,
        "flags": at[OFFSET_FLAGS],
        "window": load16(at + OFFSET_WINDOW),
        "checksum": load16(at + OFFSET_CHECKSUM),
        "urgent": load16(at + OFFSET_URGENT),
        "options": data[HEADER_BYTES_MIN:length],
        "payload": data[length:],
    }


def build(
    source: bytes,
    destination: bytes,
    source_port: int,
    destination_port: int,
    sequence: int = 0,
    acknowledgment: int = 0,
    flags: int = 0,
    window: int = 0,
    options: bytes = b"",
    payload: bytes = b"",
) -> bytes:
    """A segment with its checksum, which covers the IPv4 addresses too."""
    header: uint8_t[HEADER_BYTES_MAX]
    length: uint32_t = HEADER_BYTES_MIN + len(options)
    segment: bytes
    total: cython.ulonglong
    stored: uint16_t
    if len(source) != 4 or len(destination) != 4:
        raise ValueError("an IPv4 address has 4 bytes")
    if len(options) % 4 or len(options) > HEADER_BYTES_MAX - HEADER_BYTES_MIN:
        raise ValueError("TCP options have a multiple of 4 bytes, at most 40")
    write(header, source_port, destination_port, sequence, acknowledgment, length, flags, window)
    memcpy(header + HEADER_BYTES_MIN, PyBytes_AS_STRING(options), len(options))
    segment = header[:length] + payload
    total = sum_pseudo_header(raw32(PyBytes_AS_STRING(source)), raw32(PyBytes_AS_STRING(destination)), 6, len(segment))
    stored = ~fold(sum_bytes(cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(segment)), len(segment), total))
    memcpy(header + OFFSET_CHECKSUM, cython.address(stored), 2)
    return header[:length] + payload


def _option(kind: int, value: bytes) -> str:
    number = int.from_bytes(value, "big")
    if kind == OPTION_MSS:
        return f"mss {number}"
    if kind == OPTION_WINDOW_SCALE:
        return f"wscale {number}"
    if kind == OPTION_SACK_PERMITTED:
        return "sackOK"
    if kind == OPTION_TIMESTAMPS:
        return f"TS val {number >> 32} ecr {number & 0xFFFFFFFF}"
    if kind == OPTION_SACK:
        edges = [int.from_bytes(value[i : i + 4], "big") for i in range(0, len(value) - 3, 4)]
        return "sack " + " ".join(f"{{{edges[i]}:{edges[i + 1]}}}" for i in range(0, len(edges) - 1, 2))
    return f"opt-{kind}:{value.hex()}"


def _options(data: bytes) -> str:
    shown = []
    i: cython.Py_ssize_t = 0
    while i < len(data) and data[i] != OPTION_END:
        if data[i] == OPTION_NOP:
            shown.append("nop")
            i += 1
        elif i + 1 < len(data) and 2 <= data[i + 1] <= len(data) - i:
            shown.append(_option(data[i], data[i + 2 : i + data[i + 1]]))
            i += data[i + 1]
        else:
            shown.append("[bad option]")
            break
    return ",".join(shown)


def summary(data: bytes, source: str = "", destination: str = "") -> str:
    """Like a line of tcpdump."""
    try:
        fields = parse(data)
    except ValueError as error:
        return f"{source} > {destination}: TCP [{error}]"
    letters = "".join(letter for flag, letter in _LETTERS if fields["flags"] & flag) or "none"
    length = len(fields["payload"])
    end = f":{(fields['sequence'] + length) & 0xFFFFFFFF}" if length else ""
    line = f"{source}.{fields['source_port']} > {destination}.{fields['destination_port']}: Flags [{letters}]"
    line += f", seq {fields['sequence']}{end}"
    if fields["flags"] & FLAG_ACK:
        line += f", ack {fields['acknowledgment']}"
    line += f", win {fields['window']}"
    if fields["flags"] & FLAG_URG:
        line += f", urg {fields['urgent']}"
    if fields["options"]:
        line += f", options [{_options(fields['options'])}]"
    return f"{line}, length {length}"
