"""Ethernet II frames (RFC 894): as fields, as bytes, as a line of text."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from typing import Any

from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cython.cimports.libc.stdint import uint8_t
from cython.cimports.netapp.wire.bytes import load16

from netapp.wire import arp, ipv4, vlan

IPV4 = ETHERTYPE_IPV4
ARP = ETHERTYPE_ARP
VLAN = vlan.TYPE
BROADCAST = b"\xff\xff\xff\xff\xff\xff"
REASONS = ("", "truncated")

_PAYLOADS = {IPV4: ("IPv4", ipv4.summary), ARP: ("ARP", arp.summary)}


def parse(data: bytes) -> dict[str, Any]:
    """The fields by name; ValueError says why there are none."""
    at: cython.pointer(uint8_t) = cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(data))
    reason: cython.int = check(at, len(data))
    if reason:
        raise ValueError(REASONS[reason])
    return {
        "destination": data[OFFSET_DESTINATION:OFFSET_SOURCE],
        "source": data[OFFSET_SOURCE:OFFSET_ETHERTYPE],
        "ethertype": load16(at + OFFSET_ETHERTYPE),
        "payload": data[HEADER_BYTES:],
    }


def build(destination: bytes, source: bytes, ethertype: int, payload: bytes = b"") -> bytes:
    if len(destination) != ADDRESS_BYTES or len(source) != ADDRESS_BYTES:
        raise ValueError("an Ethernet address has 6 bytes")
    header: bytes = PyBytes_FromStringAndSize(cython.NULL, HEADER_BYTES)
    write(
        cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(header)),
        cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(destination)),
        cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(source)),
        ethertype,
    )
    return header + payload


def summary(data: bytes) -> str:
    """Like a line of `tcpdump -e`."""
    try:
        fields = parse(data)
    except ValueError as error:
        return f"Ethernet [{error}]"
    line = f"{fields['source'].hex(':')} > {fields['destination'].hex(':')}"
    return f"{line}, {_payload_summary(fields['ethertype'], fields['payload'], len(data))}"


def _payload_summary(ethertype: int, payload: bytes, length: int) -> str:
    tags = ""
    while ethertype == VLAN:
        tags += f"{vlan.summary(payload)}, "
        if len(payload) < vlan.BYTES:
            return f"{tags}length {length}"
        ethertype, payload = (vlan.parse(payload)[name] for name in ("ethertype", "payload"))
    name, inner = _PAYLOADS.get(ethertype, (f"type {ethertype:#06x}", None))
    return f"{tags}{name}, length {length}" + (f": {inner(payload)}" if inner else "")
