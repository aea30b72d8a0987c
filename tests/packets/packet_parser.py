"""Packets: `< S 0:0(0) win 65535 <mss 1460>`, `> udp (100)`, `< icmp unreachable frag_needed mtu 1200 [1:2(1)]`."""

from __future__ import annotations

from tests.packets.errors import Refused
from tests.packets.lexer import Tokens, unquote
from tests.packets.mutations import parse_mutations
from tests.packets.names import ICMP_CODES, ICMP_TYPES
from tests.packets.option_parser import parse_options
from tests.packets.script import FLAG_LETTERS, Icmp, Ip, Mutation, Packet, Tcp, Udp

_ECN = {"noecn": {0}, "ect1": {1}, "ect0": {2}, "ce": {3}, "ect01": {1, 2}}
_UNMAPPED = ("ipv4", "ipv6", "gre", "GREv0", "mpls")


def parse_packet(at: Tokens) -> Packet:
    line = at.line
    inbound = at.take().text == "<"
    if at.next.text in _UNMAPPED:
        raise Refused(at.line, f"packet field {at.next.text}: no such header is made here")
    ip = _ip(at, inbound)
    body: Tcp | Udp | Icmp
    source = destination = 0
    if at.accept("icmp"):
        body = _icmp(at, line)
    elif at.accept("udp"):
        source, destination = _ports(at)
        body = _udp(at)
    else:
        source, destination = _ports(at)
        body = _tcp(at, inbound)
    mutations: tuple[Mutation, ...] = ()
    if at.next.text == "{":
        if not inbound:
            raise Refused(at.line, "only inbound packets can be changed by { … }")
        mutations = parse_mutations(at)
    return Packet(inbound, ip, source, destination, body, mutations)


def _ip(at: Tokens, inbound: bool) -> Ip:
    bracket = at.accept("(", "[")
    if bracket is None:
        return Ip()
    tos = ttl = ecn = None
    while True:
        name = at.expect_kind("word")
        if name.text in _ECN:
            ecn = frozenset(_ECN[name.text])
            if inbound and len(ecn) > 1:
                raise Refused(name.line, "[ect01] can only be used with outbound packets")
        elif name.text == "tos":
            tos = at.integer(255, "tos")
        elif name.text == "ttl":
            ttl = at.integer(255, "ttl")
        else:
            raise Refused(name.line, f"packet field {name.text}: no such field of IPv4")
        if not at.accept(","):
            at.expect({"(": ")", "[": "]"}[bracket.text])
            return Ip(tos, ecn, ttl)


def _ports(at: Tokens) -> tuple[int, int]:
    if at.next.kind != "integer":
        return 0, 0
    source = at.integer(65535, "src port")
    at.expect(">")
    return source, at.integer(65535, "dst port")


# --- TCP -------------------------------------------------------------------------------------------------------------


def _flags(at: Tokens) -> int:
    line, text = at.line, ""
    if at.accept("-"):
        return 0
    if at.next.kind == "word":
        text = at.take().text
    if at.accept("."):
        text += "."
    if not text:
        at.fail("expected TCP flags")
    flags = 0
    for letter in text:
        if letter not in FLAG_LETTERS:
            raise Refused(line, f"packet field flags: {letter} is none of {FLAG_LETTERS}")
        flags |= 1 << FLAG_LETTERS.index(letter)
    return flags


def _sequence(at: Tokens) -> tuple[int, int]:
    line = at.line
    start = at.integer(what="TCP start sequence number")
    at.expect(":")
    end = at.integer(what="TCP end sequence number")
    at.expect("(")
    length = at.integer(65535, "TCP payload size")
    at.expect(")")
    if end != (start + length) % 2**32:
        raise Refused(line, "inconsistent TCP sequence numbers and payload size")
    return start, length


def _tcp(at: Tokens, inbound: bool) -> Tcp:
    line = at.line
    flags = _flags(at)
    seq, length = _sequence(at)
    ack = window = None
    urgent = 0
    if at.accept("ack"):
        ack = at.integer(what="TCP ack sequence number")
    if at.accept("win"):
        window = at.integer(65535, "TCP window value")
    if at.accept("urg"):
        urgent = at.integer(65535, "urg_ptr value")
    if inbound and window is None:
        raise Refused(line, "window must be specified for inbound packets")
    if flags & 16 and ack is None:
        raise Refused(line, "a packet with the ACK flag needs ack N")
    if ack is not None and not flags & 16 and not inbound:
        raise Refused(line, "ack N of an outbound packet without the ACK flag")
    options = parse_options(at, inbound)
    text = unquote(at.take().text).encode("latin-1") if at.next.kind == "string" else None
    if text is not None and len(text) != length:
        raise Refused(line, f"the text has {len(text)} bytes, the packet {length}")
    return Tcp(flags, seq, length, ack, window, urgent, options, text)


# --- UDP, ICMP -------------------------------------------------------------------------------------------------------


def _udp(at: Tokens) -> Udp:
    line = at.line
    at.expect("(")
    length = at.integer(65535, "UDP payload size")
    at.expect(")")
    text = unquote(at.take().text).encode("latin-1") if at.next.kind == "string" else None
    if text is not None and len(text) != length:
        raise Refused(line, f"the text has {len(text)} bytes, the packet {length}")
    return Udp(length, text)


def _icmp(at: Tokens, line: int) -> Icmp:
    name = at.expect_kind("word").text
    if name not in ICMP_TYPES:
        raise Refused(line, f"packet field icmp {name}: no such type; there are {', '.join(ICMP_TYPES)}")
    kind, code = ICMP_TYPES[name], 0
    codes = ICMP_CODES.get(kind, {})
    if at.next.kind == "word" and at.next.text not in ("mtu", "id"):
        if at.next.text not in codes:
            raise Refused(at.line, f"packet field icmp {name} {at.next.text}: no such code")
        code = codes[at.take().text]
    mtu = at.integer(65535, "mtu") if at.accept("mtu") else None
    number = at.integer(65535, "id") if at.accept("id") else None
    embedded: Tcp | Udp | None = None
    raw = 0
    if at.accept("["):
        if at.accept("udp"):
            embedded = _udp(at)
        elif at.accept("raw"):
            raw = _udp(at).length
        else:
            seq, length = _sequence(at)
            embedded = Tcp(0, seq, length, None, None, 0, None)
        at.expect("]")
    return Icmp(kind, code, mtu, number, embedded, raw)
