"""memcached at its limits: items, values that arrive, commands in pieces, peers that do not read."""

import random
from typing import Any

import pytest

from netapp.iobuf.chain import Chain
from netapp.node.config import NodeConfig
from netapp.node.node import Node
from netapp.tcp.config import TcpConfig
from tests.support.appliances import BUILDS, SERVER, Client, Served, appliance, served
from tests.support.memcached import stats

MIB = 1 << 20


@pytest.fixture(params=BUILDS)
def build(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def store_of(node: Node) -> Any:
    return node.core.get(node.appliance.worker.store.ebb_id)  # type: ignore[union-attr]


def held(node: Node) -> int:
    """Bytes of slots in use, those that wait for frames apart."""
    return sum(size for place, size in node.pool.pinned().items())


@pytest.mark.parametrize("largest", [300, 5000, 60_000])
def test_items_of_mixed_sizes_stay_below_the_limit(build: str, largest: int) -> None:
    choose = random.Random(largest)
    with served(appliance("memcached", build), ["-m", "1", "-I", "512k"]) as running:
        store, client = store_of(running.node), running.steady
        idle = held(running.node)
        stored: dict[bytes, bytes] = {}
        written = 0
        while written < 4 * MIB:
            key = b"key%d" % choose.randrange(20_000)
            value = choose.randbytes(choose.randrange(1, largest))
            stored[key] = value
            written += len(value) + 300
            running.send(client, b"set %s 0 0 %d noreply\r\n%s\r\n" % (key, len(value), value))
            if choose.random() < 0.1:
                running.send(client, b"delete %s noreply\r\n" % (gone := choose.choice(list(stored))))
                del stored[gone]
            assert store.used + store.reserved <= MIB
        assert held(running.node) - idle <= MIB + 65536, "what -m counts is what is pinned"
        assert store.evictions > 30 and len(store) > 10
        found = 0
        for key in choose.sample(list(stored), min(len(stored), 200)):
            client.received = b""
            running.send(client, b"get %s\r\n" % key)
            if client.received != b"END\r\n":
                found += 1
                assert client.received == b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (key, len(stored[key]), stored[key])
        assert found > 0, "whole or not at all"
        del store, client


def test_a_value_that_arrives_byte_by_byte_pins_little_more_than_its_bytes(build: str) -> None:
    with served(appliance("memcached", build)) as running:
        client = running.steady
        running.send(client, b"set key 0 0 20000\r\n")
        idle = held(running.node)
        for i in range(2000):
            running.send(client, b"%d" % (i % 10))
        assert held(running.node) - idle <= 1.45 * 2000 + 4096
        for _ in range(18):
            running.send(client, b"x" * 700 + b"y" * 300)
        assert held(running.node) - idle <= 1.45 * 20_000 + 8192
        running.send(client, b"\r\n")
        assert client.received == b"STORED\r\n"


def test_a_command_that_arrives_byte_by_byte(build: str) -> None:
    with served(appliance("memcached", build)) as running:
        clients = [running.connect() for _ in range(10)]
        idle = held(running.node)
        line = b"get " + b" ".join(b"key%d" % i for i in range(150))
        for i in range(len(line)):
            for client in clients:
                with running.client.core:
                    client.send(line[i : i + 1])
            running.simulation.settle()
        assert held(running.node) - idle <= 10 * (1.45 * len(line) + 4096)
        for client in clients:
            running.send(client, b"\r\n")
            assert client.received == b"END\r\n"


class Deaf(Client):
    def connected(self) -> None:
        super().connected()
        self.pause()


def deaf(running: Served) -> Deaf:
    made = Deaf()
    with running.client.core:
        running.client.tcp.connect(SERVER, running.port, lambda: made)
    running.simulation.run_until(lambda: made.is_connected)
    return made


def test_who_does_not_read_is_not_served_on_and_who_reads_is(build: str) -> None:
    """Parsing stops: requests wait in the stack, then at the peer."""
    config = NodeConfig(tcp=TcpConfig(send_limit=200_000, send_limit_total=1 * MIB, receive_window=65_535))
    with served(appliance("memcached", build), config=config) as running:
        running.send(running.steady, b"set key 0 0 10000\r\n%s\r\n" % bytes(10_000))
        clients = [deaf(running) for _ in range(20)]
        for client in clients:
            with running.client.core:
                client.send(b"get key\r\n" * 200)
        running.simulation.advance(1_000_000_000)
        served_so_far = stats(running)["cmd_get"]
        queued = sum(connection.queued for connection in running.node.tcp.connections())
        # The total may be passed by one event's replies.
        assert queued <= 3 * MIB and served_so_far < 20 * 200
        running.simulation.advance(10_000_000_000)
        assert stats(running)["cmd_get"] == served_so_far, "not one more"
        assert running.ask(b"get none\r\n") == b"END\r\n"
        assert running.ask(b"get key\r\n").startswith(b"VALUE key 0 10000\r\n")
        # One reads again: it gets all.
        one = clients[0]
        with running.client.core:
            one.resume()
        running.simulation.run_until(lambda: len(one.received) >= 200 * 10_026, within=3600_000_000_000)
        assert one.received == (b"VALUE key 0 10000\r\n%s\r\nEND\r\n" % bytes(10_000)) * 200
        for client in clients:
            with running.client.core:
                client.abort()


def test_two_ends_that_are_both_full_wait_for_each_other(build: str) -> None:
    """What the client sends waits for its answers to be read; in between there is a probe now and then."""
    with served(appliance("memcached", build), ("-I", "2m")) as running:
        client = deaf(running)
        large, next_one = bytes(1 << 20), bytes(900_000)
        running.send(running.steady, b"set a 0 0 %d\r\n%b\r\n" % (len(large), large))
        with running.client.core:
            client.send(b"get a\r\nset b 0 0 %d\r\n%b\r\n" % (len(next_one), next_one))
        running.simulation.advance(10_000_000_000)
        frames = running.client.devices[0].counters()["rx_frames"]
        running.simulation.advance(60_000_000_000)
        assert running.client.devices[0].counters()["rx_frames"] - frames < 500
        with running.client.core:
            client.resume()
        running.simulation.run_until(lambda: client.received.endswith(b"END\r\nSTORED\r\n"), within=600_000_000_000)
        with running.client.core:
            client.abort()


def test_all_that_is_owed_is_at_most_half_of_the_pool(build: str) -> None:
    config = NodeConfig(tcp=TcpConfig(send_limit=400_000, receive_window=65_535), pool_bytes=8 * MIB)
    with served(appliance("memcached", build), ["-m", "1", "-I", "512k"], config=config) as running:
        running.send(running.steady, b"set key 0 0 10000\r\n%s\r\n" % bytes(10_000))
        clients = [deaf(running) for _ in range(20)]
        # Whoever owes nothing is fed, so first each comes to owe something.
        for count in (30, 200):
            for client in clients:
                with running.client.core:
                    client.send(b"get key\r\n" * count)
                running.simulation.settle()
            running.simulation.advance(1_000_000_000)
        queued = sum(connection.queued for connection in running.node.tcp.connections())
        assert 4 * MIB <= queued < 5 * MIB
        assert running.ask(b"get none\r\n") == b"END\r\n"
        for client in clients:
            with running.client.core:
                client.abort()


def test_a_pool_that_is_used_up_recovers(build: str) -> None:
    config = NodeConfig(pool_bytes=8 * MIB, pool_reserve=1 * MIB)
    with served(appliance("memcached", build), ["-m", "1", "-I", "512k"], config=config) as running:
        running.send(running.steady, b"set key 0 0 5\r\nhello\r\n")
        with running.node.core:
            taken = exhaust()
        assert running.node.pool.free_bytes() == 0
        client = running.steady
        with running.client.core:
            client.send(b"get key\r\nset other 0 0 2000\r\n%s\r\n" % bytes(2000))
        running.simulation.advance(2_000_000_000)
        assert running.node.tcp.connections(), "nobody was reset"
        with running.node.core:
            taken.clear()
        running.simulation.advance(60_000_000_000)
        assert client.received.startswith(b"STORED\r\nVALUE key 0 5\r\nhello\r\nEND\r\n")
        assert running.ask(b"set more 0 0 2\r\nok\r\nget more\r\n") == b"STORED\r\nVALUE more 0 2\r\nok\r\nEND\r\n"
        del taken


def exhaust() -> Chain:
    taken, source = Chain(), Chain()
    source.write(bytes(2048))
    for size in (4096, 2048, 1024, 512, 128, 64):
        try:
            while True:
                piece = Chain()
                if size > 128:
                    piece.write(bytes(size))
                else:
                    piece = source.clone().split(size - 10).stored()
                taken.append(piece)
        except MemoryError:
            continue
    taken.append(source)
    return taken
