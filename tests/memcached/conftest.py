"""Debian's memcached and ours, of either build."""

from collections.abc import Iterator
from functools import partial

import pytest

from bench.debian import NotFetched, fetched
from tests.memcached.debian import NO_MOVES
from tests.memcached.peers import KernelPeer, WirePeer, debian_and_ours
from tests.memcached.runs import Start
from tests.support.appliances import BUILDS
from tests.support.namespaces import network_namespace


@pytest.fixture
def namespace() -> Iterator[None]:
    try:
        fetched()
    except NotFetched as error:
        pytest.skip(str(error))
    with network_namespace():
        yield


@pytest.fixture(params=BUILDS)
def start(request: pytest.FixtureRequest, namespace: None) -> Start:
    """Starts both with some options."""
    return partial(debian_and_ours, request.param)


@pytest.fixture
def peers(start: Start) -> Iterator[tuple[KernelPeer, WirePeer]]:
    with start((), NO_MOVES) as both:
        yield both  # type: ignore[misc]
