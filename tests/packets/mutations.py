"""Inbound packets that are wrong on purpose, an extension of the language: `{ tcp.checksum bad; ip.ttl 0 }`.

Fields are set before the checksums are made, so that a packet is wrong only where the script says so.
"""

from __future__ import annotations

from collections.abc import Iterable

from tests.packets.errors import Refused
from tests.packets.lexer import Tokens
from tests.packets.script import Mutation

# Where a field is: offset in its header, bytes, mask, shift.
_IP = {
    "version": (0, 1, 0xF0, 4),
    "ihl": (0, 1, 0x0F, 0),
    "tos": (1, 1, 0xFF, 0),
    "length": (2, 2, 0xFFFF, 0),
    "id": (4, 2, 0xFFFF, 0),
    "flags": (6, 2, 0xE000, 13),
    "fragment": (6, 2, 0x1FFF, 0),
    "ttl": (8, 1, 0xFF, 0),
    "protocol": (9, 1, 0xFF, 0),
    "checksum": (10, 2, 0xFFFF, 0),
    "source": (12, 4, 0xFFFFFFFF, 0),
    "destination": (16, 4, 0xFFFFFFFF, 0),
}
_TCP = {
    "source": (0, 2, 0xFFFF, 0),
    "destination": (2, 2, 0xFFFF, 0),
    "offset": (12, 1, 0xF0, 4),
    "reserved": (12, 1, 0x0F, 0),
    "flags": (13, 1, 0xFF, 0),
    "checksum": (16, 2, 0xFFFF, 0),
    "urgent": (18, 2, 0xFFFF, 0),
}
_UDP = {
    "source": (0, 2, 0xFFFF, 0),
    "destination": (2, 2, 0xFFFF, 0),
    "length": (4, 2, 0xFFFF, 0),
    "checksum": (6, 2, 0xFFFF, 0),
}
_ICMP = {"type": (0, 1, 0xFF, 0), "code": (1, 1, 0xFF, 0), "checksum": (2, 2, 0xFFFF, 0)}
_HEADERS = {"ip": _IP, "tcp": _TCP, "udp": _UDP, "icmp": _ICMP}
_CHECKSUMS = ("ip.checksum", "tcp.checksum", "udp.checksum", "icmp.checksum")


def parse_mutations(at: Tokens) -> tuple[Mutation, ...]:
    at.expect("{")
    found = []
    while True:
        token = at.expect_kind("word")
        name = token.text
        while at.accept("."):
            name += "." + at.expect_kind("word").text
        header, _, field = name.partition(".")
        if name not in ("truncate", "pad") and field not in _HEADERS.get(header, ()):
            raise Refused(token.line, f"packet field {name}: no such field")
        value = None
        if not (name in _CHECKSUMS and at.accept("bad")):
            value = at.integer()
        found.append(Mutation(name, value))
        if at.accept("}"):
            return tuple(found)
        at.expect(";")


def set_fields(packet: bytearray, at: int, protocol: str, mutations: Iterable[Mutation]) -> None:
    """Of one header, which begins at `at`; its checksum apart."""
    for mutation in mutations:
        header, _, name = mutation.field.partition(".")
        if header == protocol and name != "checksum":
            assert mutation.value is not None
            _store(packet, at, header, name, mutation.value)


def spoil_checksum(packet: bytearray, at: int, protocol: str, mutations: Iterable[Mutation]) -> None:
    for mutation in mutations:
        if mutation.field == f"{protocol}.checksum":
            offset = at + _HEADERS[protocol]["checksum"][0]
            right = int.from_bytes(packet[offset : offset + 2], "big")
            # One's complement has two zeros: a change of the lowest bit is a change in any case.
            _store(packet, at, protocol, "checksum", right ^ 1 if mutation.value is None else mutation.value)


def resize(packet: bytearray, mutations: Iterable[Mutation]) -> bytearray:
    """Frames that end early, or have bytes behind the packet."""
    for mutation in mutations:
        if mutation.field == "truncate":
            del packet[mutation.value :]
        elif mutation.field == "pad":
            packet += bytes(mutation.value or 0)
    return packet


def _store(packet: bytearray, at: int, header: str, name: str, value: int) -> None:
    offset, size, mask, shift = _HEADERS[header][name]
    offset += at
    before = int.from_bytes(packet[offset : offset + size], "big")
    packet[offset : offset + size] = (before & ~mask | value << shift & mask).to_bytes(size, "big")
