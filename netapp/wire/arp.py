"""ARP for IPv4 over Ethernet (RFC 826): as fields, as bytes, as a line of text."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from typing import Any

from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cython.cimports.libc.stdint import uint8_t
from cython.cimports.netapp.wire.bytes import load16, raw32

REQUEST = OPERATION_REQUEST
REPLY = OPERATION_REPLY
REASONS = ("", "truncated", "bad type", "bad address length", "bad operation")


def parse(data: bytes) -> dict[str, Any]:
    """The fields by name; ValueError says why there are none."""
    at: cython.pointer(uint8_t) = cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(data))
    reason: cython.int = check(at, len(data))
    if reason:
        raise ValueError(REASONS[reason])
    return {
        "operation": load16(at + OFFSET_OPERATION),
        "sender_mac": data[OFFSET_SENDER_MAC:OFFSET_SENDER_ADDRESS],
        "sender_address": data[OFFSET_SENDER_ADDRESS:OFFSET_TARGET_MAC],
        "target_mac": data[OFFSET_TARGET_MAC:OFFSET_TARGET_ADDRESS],
        "target_address": data[OFFSET_TARGET_ADDRESS:PACKET_BYTES],
    }


def build(operation: int, sender_mac: bytes, sender_address: bytes, target_mac: bytes, target_address: bytes) -> bytes:
    if len(sender_mac) != 6 or len(target_mac) != 6 or len(sender_address) != 4 or len(target_address) != 4:
        raise ValueError("Ethernet addresses have 6 bytes, IPv4 addresses 4")
    packet: bytes = PyBytes_FromStringAndSize(cython.NULL, PACKET_BYTES)
    write(
        cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(packet)),
        operation,
        cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(sender_mac)),
        raw32(PyBytes_AS_STRING(sender_address)),
        cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(target_mac)),
        raw32(PyBytes_AS_STRING(target_address)),
    )
    return packet


def summary(data: bytes) -> str:
    """Like a line of tcpdump."""
    try:
        fields = parse(data)
    except ValueError as error:
        return f"ARP [{error}]"
    sender, target = (".".join(map(str, fields[name])) for name in ("sender_address", "target_address"))
    if fields["operation"] == REQUEST:
        return f"Request who-has {target} tell {sender}"
    return f"Reply {sender} is-at {fields['sender_mac'].hex(':')}"
