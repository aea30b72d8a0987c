"""Packets as one line, in the script's syntax and numbers."""

from __future__ import annotations

import struct

from tests.packets import names
from tests.packets.flows import ACK, Flow, flag_text
from tests.packets.script import Icmp, Packet, Sack, Tcp, TcpOption, Timestamp, Udp
from tests.packets.wire import LiveIcmp, LivePacket, LiveTcp, LiveUdp


def seconds(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e9:.6f}"


def show_options(data: bytes) -> str:
    """What cannot be parsed is shown as raw bytes."""
    parts, at = [], 0
    while at < len(data):
        kind = data[at]
        if kind <= names.NOP:
            parts.append("nop" if kind else "eol")
            at += 1
            continue
        size = data[at + 1] if at + 1 < len(data) else 0
        if size < 2 or at + size > len(data):
            parts.append(f"raw {data[at:].hex()}")
            break
        parts.append(_option(kind, data[at + 2 : at + size]))
        at += size
    return f"<{','.join(parts)}>" if parts else ""


def _option(kind: int, body: bytes) -> str:
    if kind == names.MSS and len(body) == 2:
        return f"mss {int.from_bytes(body, 'big')}"
    if kind == names.WINDOW_SCALE and len(body) == 1:
        return f"wscale {body[0]}"
    if kind == names.SACK_PERMITTED and not body:
        return "sackOK"
    if kind == names.SACK and len(body) % 8 == 0:
        edges = struct.unpack(f"!{len(body) // 4}I", body)
        return "sack " + " ".join(f"{left}:{right}" for left, right in zip(edges[::2], edges[1::2]))
    if kind == names.TIMESTAMP and len(body) == 8:
        return "TS val {} ecr {}".format(*struct.unpack("!II", body))
    if kind == names.FAST_OPEN:
        return f"FO {body.hex()}".strip()
    return f"kind {kind} {body.hex()}".strip()


def _script_options(options: tuple[TcpOption, ...] | None) -> str:
    if options is None:
        return "<...>"
    parts = []
    for option in options:
        if isinstance(option, Timestamp):
            parts.append(f"TS val {option.value} ecr {option.echo}")
        elif isinstance(option, Sack):
            parts.append("sack " + " ".join(f"{left}:{right}" for left, right in option.blocks))
        elif option.kind is None:
            parts.append(f"raw {option.body.hex()}")
        elif option.kind <= names.NOP:
            parts.append("nop" if option.kind else "eol")
        else:
            parts.append(_option(option.kind, option.body))
    return f"<{','.join(parts)}>" if parts else ""


def _tcp(flags: int, seq: int, length: int, ack: int | None, window: int | None, urgent: int, options: str) -> str:
    words = [flag_text(flags), f"{seq}:{(seq + length) % 2**32}({length})"]
    if ack is not None:
        words.append(f"ack {ack}")
    if window is not None:
        words.append(f"win {window}")
    if urgent:
        words.append(f"urg {urgent}")
    return " ".join([*words, options]).rstrip()


def show_script(packet: Packet) -> str:
    body = packet.body
    ports = f"{packet.source_port}>{packet.destination_port} " if packet.source_port or packet.destination_port else ""
    if isinstance(body, Tcp):
        options = _script_options(body.options)
        return ports + _tcp(body.flags, body.seq, body.length, body.ack, body.window, body.urgent, options)
    if isinstance(body, Udp):
        return f"udp {ports}({body.length})"
    return "icmp " + _icmp(body.type, body.code, body.mtu, body.id, _embedded(body))


def _embedded(body: Icmp) -> str:
    if isinstance(body.embedded, Tcp):
        seq, length = body.embedded.seq, body.embedded.length
        return f"[{seq}:{(seq + length) % 2**32}({length})]"
    if isinstance(body.embedded, Udp):
        return f"[udp ({body.embedded.length})]"
    return f"[raw ({body.raw})]" if body.raw else ""


def _icmp(kind: int, code: int, mtu: int | None, number: int | None, rest: str) -> str:
    words = [names.icmp_name(kind, code)]
    if mtu is not None:
        words.append(f"mtu {mtu}")
    if number is not None:
        words.append(f"id {number}")
    return " ".join([*words, rest]).rstrip()


def show_live(packet: LivePacket, flow: Flow | None, with_ports: bool = False) -> str:
    """`flow`: whose numbers are relative."""
    body = packet.body
    if isinstance(body, LiveTcp):
        seq = flow.of_script(body.seq) if flow else body.seq
        ack = body.ack if body.flags & ACK else None
        shown = _tcp(body.flags, seq, len(body.text), ack, body.window, body.urgent, show_options(body.options))
        return f"{body.ports[0]}>{body.ports[1]} {shown}" if with_ports else shown
    if isinstance(body, LiveUdp):
        return f"udp {body.ports[0]}>{body.ports[1]} ({len(body.text)})"
    assert isinstance(body, LiveIcmp)
    return "icmp " + _icmp(body.type, body.code, None, None, f"[raw ({len(body.payload)})]" if body.payload else "")
