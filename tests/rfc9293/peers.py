"""What several of these tests need beside tests/support/stack.py."""

import dpkt
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether

from netapp.tcp.handler import TcpHandler
from tests.support.stack import OURS, THEIRS, Peer, Stack, flags_of


def send_options(peer: Peer, flags: str, options: bytes, payload: bytes = b"") -> None:
    """Sends a segment with exactly these bytes for options, which are whole words."""
    assert len(options) % 4 == 0
    ethernet = dpkt.ethernet.Ethernet(peer.frame(flags))
    ip = ethernet.data
    header = bytes(ip.data)[:20]
    segment = (
        header[:12] + bytes([5 + len(options) // 4 << 4]) + header[13:16] + b"\0\0" + header[18:] + options + payload
    )
    pseudo = ip.src + ip.dst + b"\0\6" + len(segment).to_bytes(2, "big")
    checksum = dpkt.in_cksum(pseudo + segment)
    ip.data = segment[:16] + checksum.to_bytes(2, "big") + segment[18:]
    ip.len = 20 + len(segment)
    ip.sum = 0
    peer.stack.send_frame(bytes(ethernet))
    peer.seq += len(payload) + ("S" in flags) + ("F" in flags)


def opened_with(s: Stack, options: bytes) -> Peer:
    """A connection whose SYN has these bytes for options."""
    peer = s.peer()
    send_options(peer, "S", options)
    peer.syn = peer.one()
    assert flags_of(peer.syn) == "SA"
    peer.send("A")
    return peer


def longest(handler: TcpHandler, peer: Peer) -> int:
    """The longest text of a segment when there is much to send."""
    peer.get()
    handler.send(b"x" * 5000)
    return max(len(segment.data) for segment in peer.get())


def icmp_error(s: Stack, kind: int, code: int, about: bytes, quoted: int = 8, **fields: int) -> None:
    """Sends an ICMP error about a frame that ours sent, with the beginning of its TCP header."""
    packet = about[14:]
    length = 20 + quoted
    error = IP(src=THEIRS, dst=OURS) / ICMP(type=kind, code=code, **fields) / packet[:length]
    s.send_frame(bytes(Ether(src=s.end.mac, dst=s.wire.a.mac) / error))
