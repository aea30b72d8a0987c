"""An outbound packet held against what the script says of it."""

from __future__ import annotations

from collections.abc import Iterator

from tests.packets.flows import ACK, SYN, Flow, Flows, flag_text
from tests.packets.script import Icmp, Packet, Tcp, Udp
from tests.packets.show import show_options
from tests.packets.text import pattern
from tests.packets.wire import UDP as UDP_PROTOCOL
from tests.packets.wire import LiveIcmp, LivePacket, LiveTcp, LiveUdp


def differences(expected: Packet, live: LivePacket, flows: Flows) -> Iterator[str]:
    """Each as packetdrill words it; none: it is the packet."""
    ip = expected.ip
    if ip.tos is not None and live.tos != ip.tos:
        yield _field("ipv4_tos", ip.tos, live.tos)
    if ip.ecn is not None and live.tos & 3 not in ip.ecn:
        yield f"live packet field ip_ecn: expected: one of {sorted(ip.ecn)} vs actual: {live.tos & 3}"
    if ip.ttl is not None and live.ttl != ip.ttl:
        yield _field("ipv4_ttl", ip.ttl, live.ttl)
    body = expected.body
    if isinstance(body, Tcp) and isinstance(live.body, LiveTcp):
        flow = flow_of(expected, flows)
        if (wrong := _ports(flow, live.body.ports)) is not None:
            yield wrong
            return
        yield from _tcp(body, live.body, flow)
    elif isinstance(body, Udp) and isinstance(live.body, LiveUdp):
        flow = flow_of(expected, flows)
        if (wrong := _ports(flow, live.body.ports)) is not None:
            yield wrong
        if len(live.body.text) != body.length:
            yield _field("udp_payload", body.length, len(live.body.text))
        elif body.text is not None and body.text != live.body.text:
            yield f"live packet payload: expected: {body.text[:60]!r} vs actual: {live.body.text[:60]!r}"
    elif isinstance(body, Icmp) and isinstance(live.body, LiveIcmp):
        yield from _icmp(body, live.body)
    else:
        yield f"live packet protocol: expected: {type(body).__name__} vs actual: {type(live.body).__name__[4:]}"


def flow_of(expected: Packet, flows: Flows) -> Flow:
    return flows.of_script(expected.destination_port, expected.source_port)


def _field(name: str, expected: int, actual: int) -> str:
    return f"live packet field {name}: expected: {expected} ({expected:#x}) vs actual: {actual} ({actual:#x})"


def _ports(flow: Flow, live: tuple[int, int]) -> str | None:
    if (flow.our_port, flow.peer_port) == live:
        return None
    return f"live packet ports: expected: {flow.our_port}>{flow.peer_port} vs actual: {live[0]}>{live[1]}"


def _tcp(expected: Tcp, live: LiveTcp, flow: Flow) -> Iterator[str]:
    if live.flags != expected.flags:
        yield f"live packet field tcp_flags: expected: {flag_text(expected.flags)} vs actual: {flag_text(live.flags)}"
        return
    if live.flags & SYN:
        flow.learn(expected.seq, live)
    if flow.of_script(live.seq) != expected.seq:
        yield _field("tcp_seq", expected.seq, flow.of_script(live.seq))
    if len(live.text) != expected.length:
        yield _field("tcp_payload", expected.length, len(live.text))
    elif (wrong := _text(expected, live, flow)) is not None:
        yield wrong
    if live.flags & ACK and live.ack != expected.ack:
        yield _field("tcp_ack_seq", expected.ack or 0, live.ack)
    if not live.flags & ACK and live.ack:
        yield _field("tcp_ack_seq", 0, live.ack)
    if expected.window is not None and live.window != expected.window:
        yield _field("tcp_window", expected.window, live.window)
    if live.urgent != expected.urgent:
        yield _field("tcp_urg_ptr", expected.urgent, live.urgent)
    if expected.options is not None:
        options = flow.expected(expected.options, live.options)
        if options != live.options:
            shown = show_options(options) or "none", show_options(live.options) or "none"
            yield f"bad outbound TCP options: expected: {shown[0]} vs actual: {shown[1]}"


def _text(expected: Tcp, live: LiveTcp, flow: Flow) -> str | None:
    wanted = expected.text
    if wanted is None and flow.sent is not None:
        first = (flow.of_script(live.seq) - 1) % 2**32
        wanted = bytes(flow.sent[first : first + len(live.text)])
    if wanted is None or wanted == live.text:
        return None
    return f"live packet payload: expected: {wanted[:60]!r} vs actual: {live.text[:60]!r}"


def _icmp(expected: Icmp, live: LiveIcmp) -> Iterator[str]:
    if live.type != expected.type:
        yield _field("icmp_type", expected.type, live.type)
        return
    if live.code != expected.code:
        yield _field("icmp_code", expected.code, live.code)
    if expected.mtu is not None and int.from_bytes(live.rest[2:], "big") != expected.mtu:
        yield _field("icmp_mtu", expected.mtu, int.from_bytes(live.rest[2:], "big"))
    if expected.id is not None and int.from_bytes(live.rest[:2], "big") != expected.id:
        yield _field("icmp_id", expected.id, int.from_bytes(live.rest[:2], "big"))
    if expected.raw and live.payload != pattern(0, expected.raw):
        yield f"live packet payload: expected: {expected.raw} bytes of the pattern vs actual: {len(live.payload)} bytes"
    if expected.embedded is not None:
        yield from _embedded(expected.embedded, live.payload)


def _embedded(expected: Tcp | Udp, packet: bytes) -> Iterator[str]:
    """RFC 792: the header of the packet that caused the error, and at least 8 bytes behind it."""
    protocol = 6 if isinstance(expected, Tcp) else UDP_PROTOCOL
    header = (packet[0] & 15) * 4 if packet else 0
    if header < 20 or len(packet) < header + 8:
        yield f"bad embedded packet: {len(packet)} bytes"
        return
    behind = packet[header:]
    if packet[9] != protocol:
        yield _field("embedded ipv4_protocol", protocol, packet[9])
    elif isinstance(expected, Tcp):
        if int.from_bytes(behind[4:8], "big") != expected.seq:
            yield _field("embedded tcp_seq", expected.seq, int.from_bytes(behind[4:8], "big"))
    elif int.from_bytes(behind[4:6], "big") != expected.length + 8:
        yield _field("embedded udp_length", expected.length + 8, int.from_bytes(behind[4:6], "big"))
