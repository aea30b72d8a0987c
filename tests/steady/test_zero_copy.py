"""Values go in and out by reference: what is copied for a request does not depend on how large the value is."""

import random

import pytest

from tests.support.appliances import BUILDS, Served, appliance, served

SIZES = (100, 2048, 100_000, 1_000_000)


def copied(node: Served) -> int:
    """By the node so far; not by the wire, which stands for a device."""
    return sum(size for place, size in node.node.pool.copied().items() if place != "wire")


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("mtu", [1500, 9000])
def test_large_values_are_stored_and_sent_without_copying_them(build: str, mtu: int) -> None:
    values = {size: random.Random(size).randbytes(size) for size in SIZES}
    with served(appliance("memcached", build), mtu=mtu) as node:
        client = node.connect()
        stored, sent = {}, {}
        for size, value in values.items():
            before = copied(node)
            assert node.ask(b"set k%d 0 0 %d\r\n" % (size, size), value + b"\r\n", client=client) == b"STORED\r\n"
            stored[size] = copied(node) - before
        for size, value in values.items():
            before = copied(node)
            reply = node.ask(b"get k%d\r\n" % size, client=client)
            sent[size] = copied(node) - before
            assert reply == b"VALUE k%d 0 %d\r\n%b\r\nEND\r\n" % (size, size, value)
        # What arrived stays where it is, but for the pieces at the ends, which would pin too much.
        assert stored[100_000] <= 4096 and stored[1_000_000] <= 4096, stored
        # Small ones are copied: the counters count.
        assert sent[100] >= 100
        assert not any(sent[size] for size in SIZES if size > 256), sent
