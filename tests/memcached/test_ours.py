"""Ours answers generated sequences, sent in one piece, as Debian's memcached does, byte for byte."""

import pytest

from tests.memcached import binary, generate
from tests.memcached.compare import differ
from tests.memcached.peers import KernelPeer, WirePeer

pytestmark = pytest.mark.system
SEEDS = range(10_001, 12_001)  # others than those of the table


def test_text_and_meta_commands(peers: tuple[KernelPeer, WirePeer]) -> None:
    for seed in SEEDS:
        commands = generate.sequence(seed)
        assert differ(*peers, commands) is None, (seed, commands)


def test_binary_requests(peers: tuple[KernelPeer, WirePeer]) -> None:
    for seed in SEEDS:
        requests = binary.sequence(seed)
        assert differ(*peers, requests) is None, (seed, requests)
