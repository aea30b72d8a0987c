"""A network of its own, with an address beside the loopback's: without one Debian's memcaslap finds no UDP server."""

from collections.abc import Iterator

import pytest

from bench.debian import NotFetched, fetched
from tests.support.namespaces import ip, network_namespace


@pytest.fixture
def namespace() -> Iterator[None]:
    try:
        fetched()
        fetched("libmemcached-tools", "usr/bin/memcaslap")
    except NotFetched as error:
        pytest.skip(str(error))
    with network_namespace():
        ip("address add 10.98.0.1/32 dev lo")
        yield
