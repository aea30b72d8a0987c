"""Ours answers as Debian's memcached does, byte for byte."""

from collections.abc import Iterator

import pytest

from tests.memcached import binary, generate
from tests.memcached.compare import differ
from tests.memcached.debian import NotFetched, debian, fetched
from tests.memcached.peers import KernelPeer, WirePeer
from tests.support.appliances import BUILDS, appliance, served
from tests.support.namespaces import network_namespace

pytestmark = pytest.mark.system


@pytest.fixture(params=BUILDS)
def peers(request: pytest.FixtureRequest) -> Iterator[tuple[KernelPeer, WirePeer]]:
    try:
        fetched()
    except NotFetched as error:
        pytest.skip(str(error))
    with (
        network_namespace(),
        debian(11311) as port,
        served(appliance("memcached", request.param)) as running,
    ):
        yield KernelPeer(port), WirePeer(running)


def test_text_and_meta_commands(peers: tuple[KernelPeer, WirePeer]) -> None:
    for seed in range(1, 2001):
        commands = generate.sequence(seed)
        assert differ(*peers, commands) is None, (seed, commands)


def test_binary_requests(peers: tuple[KernelPeer, WirePeer]) -> None:
    for seed in range(1, 2001):
        requests = binary.sequence(seed)
        assert differ(*peers, requests) is None, (seed, requests)
