"""ICMP (RFC 792): as fields, as bytes, as a line of text."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from typing import Any

from cython.cimports.cpython.bytes import PyBytes_AS_STRING
from cython.cimports.libc.stdint import uint8_t
from cython.cimports.netapp.wire.bytes import load16, load32, store16

from netapp.wire.checksum import checksum

ECHO_REPLY = TYPE_ECHO_REPLY
UNREACHABLE = TYPE_UNREACHABLE
REDIRECT = TYPE_REDIRECT
ECHO = TYPE_ECHO
TIME_EXCEEDED = TYPE_TIME_EXCEEDED
PARAMETER_PROBLEM = TYPE_PARAMETER_PROBLEM
REASONS = ("", "truncated")

_NAMES = {
    ECHO_REPLY: "echo reply",
    UNREACHABLE: "unreachable",
    REDIRECT: "redirect",
    ECHO: "echo request",
    TIME_EXCEEDED: "time exceeded",
    PARAMETER_PROBLEM: "parameter problem",
}


def parse(data: bytes) -> dict[str, Any]:
    """The fields by name; ValueError says why there are none. `valid`: whether the checksum is right."""
    at: cython.pointer(uint8_t) = cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(data))
    reason: cython.int = check(at, len(data))
    if reason:
        raise ValueError(REASONS[reason])
    return {
        "type": at[OFFSET_TYPE],
        "code": at[OFFSET_CODE],
        "checksum": load16(at + OFFSET_CHECKSUM),
        "valid": checksum(data) == 0,
        "rest": load32(at + OFFSET_REST),
        "payload": data[HEADER_BYTES:],
    }


def build(type: int, code: int, rest: int = 0, payload: bytes = b"") -> bytes:
    """A message with its checksum."""
    header: uint8_t[HEADER_BYTES]
    write(header, type, code, rest)
    store16(cython.address(header[OFFSET_CHECKSUM]), checksum(header[:HEADER_BYTES] + payload))
    return header[:HEADER_BYTES] + payload


def summary(data: bytes) -> str:
    """Like a line of tcpdump."""
    try:
        fields = parse(data)
    except ValueError as error:
        return f"ICMP [{error}]"
    name = _NAMES.get(fields["type"], f"type {fields['type']}")
    if fields["type"] in (ECHO, ECHO_REPLY):
        detail = f"id {fields['rest'] >> 16}, seq {fields['rest'] & 0xFFFF}"
    else:
        detail = f"code {fields['code']}"
    bad = "" if fields["valid"] else " [bad checksum]"
    return f"ICMP {name}, {detail}, length {len(data)}{bad}"
