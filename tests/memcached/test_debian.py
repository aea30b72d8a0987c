"""The suite itself: two processes of Debian's memcached answer alike, and the sequences reach every command."""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.memcached.compare import differ, reached
from tests.memcached.debian import NotFetched, debian, fetched
from tests.memcached.generate import COMMANDS, sequence
from tests.memcached.peers import KernelPeer
from tests.support.namespaces import network_namespace

pytestmark = pytest.mark.system


@pytest.fixture
def peers() -> Iterator[tuple[KernelPeer, KernelPeer]]:
    try:
        fetched()
    except NotFetched as error:
        pytest.skip(str(error))
    with network_namespace(), debian(11311) as first, debian(11312) as second:
        yield KernelPeer(first), KernelPeer(second)


def test_two_of_debians_memcached_answer_alike(peers: tuple[KernelPeer, KernelPeer]) -> None:
    table: Counter[tuple[str, str]] = Counter()
    for seed in range(1, 301):
        commands = sequence(seed)
        assert differ(*peers, commands) is None, (seed, commands)
        reached(commands, peers[0].ask(b"".join(commands)), table)
        peers[1].ask(b"".join(commands))  # the uniques stay in step
    assert {name for name, _ in table} >= set(COMMANDS)
