"""VLAN tags (IEEE 802.1Q): as fields, as bytes, as a line of text."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from typing import Any

from cython.cimports.cpython.bytes import PyBytes_AS_STRING
from cython.cimports.libc.stdint import uint8_t, uint16_t
from cython.cimports.netapp.wire.bytes import load16

TYPE = TAG_TYPE
BYTES = HEADER_BYTES
REASONS = ("", "truncated")


def parse(data: bytes) -> dict[str, Any]:
    """The fields by name; ValueError says why there are none."""
    at: cython.pointer(uint8_t) = cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(data))
    reason: cython.int = check(at, len(data))
    if reason:
        raise ValueError(REASONS[reason])
    control: uint16_t = load16(at + OFFSET_CONTROL)
    return {
        "priority": control >> PRIORITY_SHIFT,
        "drop_eligible": bool(control & DROP_ELIGIBLE),
        "identifier": control & IDENTIFIER,
        "ethertype": load16(at + OFFSET_ETHERTYPE),
        "payload": data[HEADER_BYTES:],
    }


def build(
    identifier: int, ethertype: int, payload: bytes = b"", priority: int = 0, drop_eligible: bool = False
) -> bytes:
    if not 0 <= identifier <= 4095 or not 0 <= priority <= 7:
        raise ValueError("a tag's identifier is 0 to 4095, its priority 0 to 7")
    header: uint8_t[HEADER_BYTES]
    write(header, priority << PRIORITY_SHIFT | (DROP_ELIGIBLE if drop_eligible else 0) | identifier, ethertype)
    return header[:HEADER_BYTES] + payload


def summary(data: bytes) -> str:
    """Like what tcpdump prints of a tag; the rest of the line is of what follows."""
    try:
        fields = parse(data)
    except ValueError as error:
        return f"vlan [{error}]"
    dei = ", DEI" if fields["drop_eligible"] else ""
    return f"vlan {fields['identifier']}, p {fields['priority']}{dei}"
