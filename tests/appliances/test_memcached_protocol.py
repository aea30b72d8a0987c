"""The text protocol: replies equal memcached's, however the commands arrive; bad input is answered and bounded."""

from collections.abc import Iterator

import pytest

from netapp.net.config import InterfaceConfig
from netapp.node.config import NodeConfig
from netapp.node.simulation import SECOND
from tests.support.appliances import SERVER, Client, Served, appliance, served, split
from tests.support.memcached_replies import CLOSED, REPLIES


@pytest.fixture
def memcached(build: str) -> Iterator[Served]:
    with served(appliance("memcached", build)) as running:
        yield running


def answer(running: Served, client: Client, *pieces: bytes) -> bytes:
    """As REPLIES has it."""
    got = running.ask(*pieces, client=client)
    return got + CLOSED if client.server_closed or client.ended else got


@pytest.mark.parametrize("group", REPLIES)
def test_replies_are_those_of_memcached(build: str, group: str) -> None:
    wrong = []
    for script, reply in REPLIES[group]:
        with served(appliance("memcached", build)) as running:
            got = answer(running, running.connect(), script)
            if got != reply:
                wrong.append((script[:200], reply[:200], got[:200]))
    assert not wrong


@pytest.mark.parametrize("group", REPLIES)
def test_replies_are_the_same_however_the_bytes_arrive(build: str, group: str) -> None:
    for script, reply in REPLIES[group]:
        if len(script) > 400:
            continue
        for pieces in (split(script, lambda at: True), split(script, lambda at: at % 7 == 3)):
            with served(appliance("memcached", build)) as running:
                client = running.connect()
                for piece in pieces:
                    if not client.server_closed:
                        running.send(client, piece)
                assert client.received + (CLOSED if client.server_closed else b"") == reply, (script, pieces)


CONVERSATION = (
    b"set k 5 0 5\r\nhello\r\nget k\r\nset long 0 0 600 noreply\r\n" + b"v" * 600 + b"\r\nget long k\r\n"
    b"incr k 1\r\ndelete k\r\ngets k long\r\n"
)


def test_a_conversation_is_the_same_when_split_anywhere(memcached: Served) -> None:
    whole = memcached.ask(CONVERSATION)
    assert whole.startswith(b"STORED\r\nVALUE k 5 5\r\nhello\r\nEND\r\nVALUE long 0 600\r\nvvv")
    client = memcached.connect()
    for at in range(1, len(CONVERSATION), 1 if len(CONVERSATION) < 200 else 11):
        got = memcached.ask(CONVERSATION[:at], CONVERSATION[at:], client=client)
        assert len(got) - len(whole) in range(4), at  # the unique of gets grows
        assert got[:-12].startswith(whole[: len(whole) - 620]), at


def test_many_commands_in_one_segment(memcached: Served) -> None:
    script = b"".join(b"set k%d 0 0 2\r\n%02d\r\n" % (i, i) for i in range(60))
    assert memcached.ask(script) == b"STORED\r\n" * 60
    script = b"".join(b"get k%d\r\n" % i for i in range(60))
    assert memcached.ask(script) == b"".join(b"VALUE k%d 0 2\r\n%02d\r\nEND\r\n" % (i, i) for i in range(60))


def test_a_get_of_many_keys_yields_to_others(build: str) -> None:
    with served(appliance("memcached", build)) as running:
        running.send(running.steady, b"set there 0 0 1\r\nx\r\n")
        line = b"get " + b"missing " * 50_000 + b"there\r\n"
        assert running.ask(line) == b"VALUE there 0 1\r\nx\r\nEND\r\n"
        assert b"STAT conn_yields 5\r\n" in running.ask(b"stats\r\n")


def test_a_long_pipeline_yields_to_others(build: str) -> None:
    with served(appliance("memcached", build), ["-R", "5"]) as running:
        assert running.ask(b"get k\r\n" * 100) == b"END\r\n" * 100
        stats = running.ask(b"stats\r\n")
        assert b"STAT conn_yields 19\r\n" in stats
        # The connection's end waits for what was received before it.
        client = running.connect()
        with running.client.core:
            client.send(b"get k\r\n" * 100)
            client.close()
        running.simulation.run_until(lambda: client.ended)
        assert client.received == b"END\r\n" * 100


@pytest.mark.parametrize("size", [1, 255, 256, 257, 1023, 1024, 1025, 1400, 2047, 4096, 10_000, 100_000, 1_048_516])
def test_values_of_all_sizes(memcached: Served, size: int) -> None:
    value = (bytes(range(256)) * (size // 256 + 1))[:size]
    header = b"VALUE a 0 %d\r\n" % size
    client = memcached.connect()
    assert memcached.ask(b"set a 0 0 %d\r\n" % size + value + b"\r\nget a\r\n", client=client) == (
        b"STORED\r\n" + header + value + b"\r\nEND\r\n"
    )
    assert memcached.ask(b"gets a a\r\n", client=client) == (header[:-2] + b" 1\r\n" + value + b"\r\n") * 2 + b"END\r\n"
    assert memcached.ask(b"get a nope a\r\n", client=client) == (header + value + b"\r\n") * 2 + b"END\r\n"


@pytest.mark.parametrize("key, flags, largest", [(b"a", 0, 1_048_516), (b"a", 5, 1_048_512), (b"k" * 10, 0, 1_048_507)])
def test_the_largest_item_is_memcacheds(memcached: Served, key: bytes, flags: int, largest: int) -> None:
    for size, reply in ((largest, b"STORED\r\n"), (largest + 1, b"SERVER_ERROR object too large for cache\r\n")):
        script = b"set %b %d 0 %d\r\n" % (key, flags, size) + b"x" * size + b"\r\nversion\r\n"
        assert memcached.ask(script) == reply + b"VERSION 1.6.18\r\n"


def test_a_value_too_large_is_swallowed_and_the_old_one_gone(memcached: Served) -> None:
    client = memcached.connect()
    too_large = b" 0 0 2000000\r\n" + b"y" * 2_000_000 + b"\r\n"
    assert memcached.ask(b"set a 0 0 1\r\nx\r\nadd a" + too_large + b"get a\r\n", client=client) == (
        b"STORED\r\nSERVER_ERROR object too large for cache\r\nVALUE a 0 1\r\nx\r\nEND\r\n"
    )
    assert memcached.ask(b"set a" + too_large + b"get a\r\n", client=client) == (
        b"SERVER_ERROR object too large for cache\r\nEND\r\n"
    )
    quiet = too_large.replace(b"\r\n", b" noreply\r\n", 1)
    assert memcached.ask(b"set a" + quiet + b"get a\r\n", client=client) == b"END\r\n"


def test_a_swallowed_value_takes_no_memory(memcached: Served) -> None:
    client = memcached.connect()
    memcached.send(client, b"set a 0 0 2000000\r\n")
    for _ in range(20):
        memcached.send(client, b"y" * 100_000)
        assert memcached.node.pool.pinned()["device"] < 100_000
    assert memcached.ask(b"\r\nversion\r\n", client=client) == (
        b"SERVER_ERROR object too large for cache\r\nVERSION 1.6.18\r\n"
    )


def test_a_reply_of_very_many_values_takes_little_memory_and_is_whole(memcached: Served) -> None:
    """Others have their turn meanwhile, and what is not read is not made."""
    value = bytes(1000) * 300
    assert memcached.ask(b"set big 0 0 300000\r\n" + value + b"\r\n") == b"STORED\r\n"
    client = memcached.connect()
    client.received = bytearray()  # type: ignore[assignment] # which grows in place
    for command, head in ((b"get", b"VALUE big 0 300000\r\n"), (b"gets", b"VALUE big 0 300000 1\r\n")):
        before = len(client.received)
        with memcached.client.core:
            client.pause()
        memcached.send(client, command + b" big" * 20 + b"\r\n" + (command + b" none big\r\n") * 10)
        (served,) = (c for c in memcached.node.tcp.connections() if c.queued)
        assert 500_000 < served.queued < 3 << 20
        assert memcached.ask(b"version\r\n") == b"VERSION 1.6.18\r\n"
        with memcached.client.core:
            client.resume()
        memcached.simulation.advance(10 * SECOND)
        item = head + value + b"\r\n"
        assert client.received[before:] == item * 20 + b"END\r\n" + (item + b"END\r\n") * 10


def test_a_value_for_which_slots_run_out_is_refused(build: str) -> None:
    interface = InterfaceConfig(f"{SERVER}/24", announce=False)
    config = NodeConfig(interfaces=(interface,), pool_bytes=3 << 20, pool_reserve=1 << 20)
    with served(appliance("memcached", build), config=config) as running:
        halves = [running.connect() for _ in range(4)]
        for client in halves:
            running.send(client, b"set a 0 0 900000\r\n", *[bytes(1100)] * 800)
        assert running.ask(b"set b 0 0 1\r\nx\r\nget b\r\n") == b"STORED\r\nVALUE b 0 1\r\nx\r\nEND\r\n"
        for client in halves:
            running.send(client, bytes(900_000 - 880_000) + b"\r\nversion\r\n")
        running.simulation.advance(SECOND)
        answers = sorted(client.received for client in halves)
        refused = b"SERVER_ERROR out of memory storing object\r\nVERSION 1.6.18\r\n"
        assert answers.count(refused) >= 2 and set(answers) <= {refused, b"STORED\r\nVERSION 1.6.18\r\n"}, answers
        assert not running.node.tcp.counters()["callback_exceptions"]


@pytest.mark.parametrize("length", [21, 5000, 1_000_000])
def test_numbers_of_very_many_digits(memcached: Served, length: int) -> None:
    assert memcached.ask(b"set a 0 0 %d\r\n" % length + b"9" * length + b"\r\nincr a 1\r\n") == (
        b"STORED\r\nCLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
    )
    digits = b"9" * min(length, 2000)
    assert memcached.ask(b"incr a " + digits + b"\r\n") == b"CLIENT_ERROR invalid numeric delta argument\r\n"


def test_a_line_without_end_closes_the_connection(memcached: Served) -> None:
    for junk in (b"x" * 3000, b"\0" * 3000, b"set " + b"k" * 3000):
        client = memcached.connect()
        memcached.ask(junk, client=client)
        assert client.server_closed or client.ended
    client = memcached.connect()
    memcached.send(client, *[b"get " + b"k " * 1000] * 5)
    assert not client.server_closed
    keys = b"k " * 600_000
    memcached.ask(b"get " + keys, client=client)
    assert client.server_closed or client.ended


def test_commands_in_tiny_pieces_pin_little(memcached: Served) -> None:
    client = memcached.connect()
    memcached.send(client, b"set a 0 0 3000\r\n", *[b"v"] * 1500)
    assert memcached.node.pool.pinned()["device"] <= 3 * 2048
    assert memcached.ask(b"v" * 1500 + b"\r\n", client=client) == b"STORED\r\n"


def test_connections_beyond_the_limit_are_told(build: str) -> None:
    with served(appliance("memcached", build), ["-c", "3"]) as running:
        clients = [running.connect() for _ in range(3)]
        refused = running.connect()
        running.simulation.advance(1_000_000)
        assert refused.received == b"ERROR Too many open connections\r\n" and refused.server_closed
        with running.client.core:
            clients[0].close()
        running.simulation.run_until(lambda: clients[0].ended)
        stats = running.ask(b"stats\r\n", client=running.connect())
        assert b"STAT curr_connections 3\r\n" in stats and b"STAT rejected_connections 1\r\n" in stats


def test_a_connection_that_goes_in_the_midst_of_a_value_leaves_nothing(memcached: Served) -> None:
    client = memcached.connect()
    memcached.send(client, b"set a 0 0 100000\r\n" + b"x" * 50_000)
    with memcached.client.core:
        client.abort()
    memcached.simulation.advance(1_000_000)
    assert b"STAT bytes 0\r\nSTAT curr_items 0\r\n" in memcached.ask(b"stats\r\n")


def test_stats_count_what_was_asked(memcached: Served) -> None:
    memcached.ask(b"set a 0 0 1\r\nx\r\nget a b\r\ncas a 0 0 1 9\r\ny\r\ndelete b\r\nincr b 1\r\nflush_all\r\n")
    stats = dict(line.split(b" ")[1:] for line in memcached.ask(b"stats\r\n").splitlines()[:-1])
    expected = {"cmd_get": 2, "get_hits": 1, "get_misses": 1, "cmd_set": 2, "cas_badval": 1, "cmd_flush": 1}
    expected |= {"delete_misses": 1, "incr_misses": 1, "curr_items": 1, "total_items": 1, "limit_maxbytes": 64 << 20}
    assert {name: int(stats[name.encode()]) for name in expected} == expected
    assert memcached.ask(b"stats settings\r\n").startswith(b"STAT maxbytes 67108864\r\nSTAT maxconns 1024\r\n")


def test_the_node_drains(memcached: Served) -> None:
    idle, busy = memcached.connect(), memcached.connect()
    memcached.send(busy, b"set a 0 0 1000\r\nhalf")
    memcached.node.stop()
    memcached.simulation.run_until(lambda: idle.ended and busy.ended)
    assert idle.error is None and busy.error is None
    memcached.stop()
