"""Frames for the tests of the device model, with complete checksums."""

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw


def payload(length: int) -> bytes:
    return bytes((i * 7 + i // 251) % 256 for i in range(length))


def _link() -> Ether:
    return Ether(dst="52:54:00:12:34:56", src="02:00:00:00:00:0a")


def tcp_packet(length: int, flags: int = 0x18) -> bytes:
    segment = TCP(sport=4000, dport=7, seq=2**32 - 700, ack=9, flags=flags)
    return bytes(_link() / IP(src="10.0.0.1", dst="10.0.0.2", id=65534) / segment / Raw(payload(length)))


def udp_packet(length: int, source: str = "10.0.0.1", port: int = 4000) -> bytes:
    return bytes(_link() / IP(src=source, dst="10.0.0.2") / UDP(sport=port, dport=7) / Raw(payload(length)))
