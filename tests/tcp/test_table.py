"""The connection table grows piece by piece: at each size every connection is found, and only those that are there."""

import pytest

from netapp.tcp.config import TcpConfig
from tests.support.stack import Peer, flags_of, stack


def answered(peer: Peer) -> bool:
    """An echo comes back, and is acknowledged."""
    peer.send("PA", b"still there?")
    answer = peer.one()
    peer.acknowledge()
    return bytes(answer.data) == b"still there?"


@pytest.mark.parametrize("gone", [0, 3], ids=["all-stay", "some-go"])
def test_connections_are_found_while_the_table_grows(gone: int) -> None:
    with stack(TcpConfig()) as s:
        s.echo()
        peers: list[Peer] = []
        # It grows at 33, 65 and 129 connections, and moves them with the insertions after that.
        for port in range(2000, 2150):
            peers.append(s.peer(port=port).open())
            for step in (1, 7, 31):
                assert answered(peers[port * step % len(peers)])
            if gone and port % gone == 0:
                leaving = peers.pop(port * 13 % len(peers))
                leaving.send("RA")
                leaving.send("A")
                assert flags_of(leaving.one()) == "R"
        assert len(s.tcp.connections()) == len(peers)
        assert all(answered(peer) for peer in peers)


def test_a_table_that_stops_growing_moves_with_the_segments() -> None:
    with stack(TcpConfig()) as s:
        s.echo()
        peers = [s.peer(port=port).open() for port in range(2000, 2033)]
        assert all(answered(peer) for peer in peers * 3)
