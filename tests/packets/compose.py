"""An inbound packet's bytes, as the script says."""

from __future__ import annotations

import struct

from tests.packets.flows import ACK, Flow, Flows
from tests.packets.host import Host
from tests.packets.script import Icmp, Packet, Tcp, Udp
from tests.packets.text import pattern
from tests.packets.wire import ICMP, TCP, UDP, Headers, packet, tcp_segment, udp_datagram


def compose(host: Host, flows: Flows, script: Packet) -> bytes:
    ip = script.ip
    tos = ip.tos or 0
    if ip.ecn is not None:
        tos |= next(iter(ip.ecn))
    headers = Headers(host.remote, host.local, tos, 64 if ip.ttl is None else ip.ttl)
    body = script.body
    if isinstance(body, Icmp):
        return packet(headers, ICMP, _icmp(host, flows, body), script.mutations)
    flow = flows.of_script(script.source_port, script.destination_port)
    ports = flow.peer_port, flow.our_port
    if isinstance(body, Udp):
        text = pattern(0, body.length) if body.text is None else body.text
        return packet(headers, UDP, udp_datagram(ports, text), script.mutations)
    return packet(headers, TCP, _tcp(flow, body, ports), script.mutations)


def _tcp(flow: Flow, body: Tcp, ports: tuple[int, int]) -> bytes:
    flow.peer_sends(body.flags, body.seq)
    text = body.text
    if text is None:
        text = flow.peer_text(body.seq + (1 if body.flags & 2 else 0), body.length)
    # Without the flag the field has no meaning: what stands there is the script's, as it is.
    ack = flow.live(body.ack or 0) if body.flags & ACK else body.ack or 0
    assert body.options is not None and body.window is not None
    return tcp_segment(ports, body.seq, ack, body.flags, body.window, body.urgent, flow.encode(body.options), text)


def _icmp(host: Host, flows: Flows, body: Icmp) -> bytes:
    header = struct.pack("!BBHHH", body.type, body.code, 0, body.id or 0, body.mtu or 0)
    if body.embedded is None:
        return header + pattern(0, body.raw)
    # What we sent came back to us, with 8 bytes of TCP or UDP at least (RFC 792), here with a whole header.
    flow = flows.of_script(0, 0)
    ports = flow.our_port, flow.peer_port
    headers = Headers(host.local, host.remote)
    if isinstance(body.embedded, Udp):
        returned = packet(headers, UDP, udp_datagram(ports, pattern(0, body.embedded.length)))
        return header + returned[:28]
    segment = tcp_segment(ports, flow.live(body.embedded.seq), 0, ACK, 0, 0, b"", bytes(body.embedded.length))
    return header + packet(headers, TCP, segment)[:40]
