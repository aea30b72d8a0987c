"""The suite itself: two processes of Debian's memcached answer alike."""

import pytest

from tests.memcached.compare import differ
from tests.memcached.debian import debian
from tests.memcached.generate import sequence
from tests.memcached.peers import KernelPeer

pytestmark = pytest.mark.system


def test_two_of_debians_memcached_answer_alike(namespace: None) -> None:
    with debian(11311) as first, debian(11312) as second:
        for seed in range(1, 301):
            commands = sequence(seed)
            assert differ(KernelPeer(first), KernelPeer(second), commands) is None, (seed, commands)
