"""Frames for the tests of the device model, with complete checksums."""

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from tests.virtio.model.frames import GSO_TCPV4, NEEDS_CSUM, Header, parts, pseudo_header_sum


def payload(length: int) -> bytes:
    return bytes((i * 7 + i // 251) % 256 for i in range(length))


def _link() -> Ether:
    return Ether(dst="52:54:00:12:34:56", src="02:00:00:00:00:0a")


def tcp_packet(length: int, flags: int = 0x18) -> bytes:
    segment = TCP(sport=4000, dport=7, seq=2**32 - 700, ack=9, flags=flags)
    return bytes(_link() / IP(src="10.0.0.1", dst="10.0.0.2", id=65534) / segment / Raw(payload(length)))


def udp_packet(length: int, source: str = "10.0.0.1", port: int = 4000) -> bytes:
    return bytes(_link() / IP(src=source, dst="10.0.0.2") / UDP(sport=port, dport=7) / Raw(payload(length)))


def partial(frame: bytes) -> tuple[Header, bytes]:
    """With the pseudo-header's sum, for the device to complete."""
    found = parts(frame)
    assert found is not None
    field = 16 if found.protocol == 6 else 6
    total = pseudo_header_sum(frame, found, found.end - found.transport)
    at = found.transport + field
    header = Header(NEEDS_CSUM, 0, 0, 0, found.transport, field)
    return header, frame[:at] + total.to_bytes(2, "big") + frame[at + 2 :]


def large(**fields: int) -> tuple[Header, bytes]:
    """To be cut into three."""
    header, frame = partial(tcp_packet(3000))
    return header._replace(gso_type=GSO_TCPV4, gso_size=1000, hdr_len=54)._replace(**fields), frame
