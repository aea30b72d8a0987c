"""RFC 9293, 3.9.2: the interface to IP."""

import pytest
from scapy.layers.inet import IP, TCP, IPOption
from scapy.layers.l2 import Ether

from tests.support.stack import OURS, THEIRS, Stack, stack


def with_options(s: Stack, options: bytes, **fields: int | str | bytes) -> bytes:
    """A SYN in a packet with these IP options."""
    syn = TCP(sport=40000, dport=7, flags="S", seq=1000)
    return bytes(Ether(src=s.end.mac, dst=s.wire.a.mac) / IP(src=THEIRS, dst=OURS, options=[IPOption(options)]) / syn)


@pytest.mark.parametrize(
    "options",
    [
        b"\x94\x04\0\0",  # Router Alert
        b"\x88\x04\0\1",  # Stream Identifier
        b"\x44\x08\x05\0\0\0\0\0",  # Timestamp
        b"\x07\x07\x04\0\0\0\0\0",  # Record Route, and the end of the list
        b"\x1e\x04ab",  # for experiments (RFC 4727)
        b"\1\1\x59\x06abcd\0\0\0\0",  # of a number that nobody has
    ],
)
def test_must_50_options_that_tcp_does_not_know_are_ignored(options: bytes) -> None:
    with stack() as s:
        s.listen()
        s.send_frame(with_options(s, options))
        [answer] = s.segments()
        assert answer.flags == 0x12 and answer.ack == 1001


@pytest.mark.parametrize("kind", [131, 137])
def test_must_53_a_packet_with_a_source_route_is_dropped(kind: int) -> None:
    """What is done instead, silently (RFC 7126, 4.3 and 4.4)."""
    with stack() as s:
        s.listen()
        s.send_frame(with_options(s, bytes([kind, 7, 8, 10, 99, 0, 3, 0])))
        assert s.frames() == [] and s.tcp.connections() == []
