"""memcached's options: each has its meaning, or is refused in a line that says why; what happens without requests."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from netapp.cli.main import main
from netapp.cli.run import appliance_options
from netapp.node.simulation import SECOND
from tests.support.appliances import Served, appliance, served

NAMES = Path(__file__).with_name("memcached_stats.txt").read_text().split("\n\n")


@pytest.fixture
def memcached(build: str) -> Iterator[Served]:
    with served(appliance("memcached", build), ["-p", "11211"]) as running:
        yield running


def stat(running: Served, words: bytes) -> dict[str, str]:
    lines = running.ask(b"stats" + words + b"\r\n").decode().splitlines()
    assert lines.pop() == "END"
    return dict(line.removeprefix("STAT ").split(" ", 1) for line in lines)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        *((flag, "no file system") for flag in ("-s /x", "-a 700", "-e /x", "-N 1", "-o sock_cookie_id=1")),
        *((flag, "the host's") for flag in ("-r", "-u nobody", "-k", "-L")),
        *((flag, "authentication") for flag in ("-S", "-Y /x")),
        *((flag, "slots") for flag in ("-f 2", "-n 64", "-o slab_chunk_max=9", "-o slab_sizes=8")),
        *((flag, "no TLS") for flag in ("-Z", "-o ssl_key=x", "-o ssl_kernel_tls")),
        *((flag, "external storage") for flag in ("-o ext_path=/x:1G", "-o slab_automove_freeratio=1")),
        *((flag, "segmented") for flag in ("-o no_lru_maintainer", "-o no_modern")),
        *((flag, "by size") for flag in ("-o hot_max_factor=1", "-o warm_max_factor=1")),
        *((flag, "hash table") for flag in ("-o hash_algorithm=xxh3", "-o no_hashexpand")),
        ("-d", "foreground"),
        ("-P /x", "no -d"),
        ("-D :", "by prefix"),
        ("-o track_sizes", "histogram"),
        ("-o no_maxconns_fast", "closed"),
        ("-o tail_repair_time=10", "reference"),
        ("-o read_buf_mem_limit=1", "pool"),
        ("-o temporary_ttl=5", "segment"),
        ("-o watcher_logbuf_size=1", "watch"),
        ("-o no_slab_reassign", "class"),
        ("-o nonsense", "illegal suboption 'nonsense'"),
        ("-o hashpower=50", "from 12 to 32"),
        ("-o idle_timeout", "wants a number"),
        ("-o hot_lru_pct=50,warm_lru_pct=50", "80%"),
        ("-p 0", "no port"),
        ("-I 40m", "1/2 of memory"),
        ("-l x:y", "ADDR"),
        ("-B x", "binary"),
        *((f"{flag} 0", "range") for flag in ("-t", "-R", "-c", "-b", "-m")),
    ],
)
def test_what_is_refused_is_told_in_a_line(arguments: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "memcached", "--", *arguments.split()]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert told in captured.err


@pytest.mark.parametrize(("flag", "told"), [("-V", "memcached 1.6.18"), ("-i", "License"), ("-h", "--extended LIST")])
def test_what_is_asked_for_is_printed(flag: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "memcached", "--", flag]) == 0
    assert told in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        ("-M", "evictions", "off"),
        ("-C", "cas_enabled", "no"),
        ("-F", "flush_enabled", "no"),
        ("-A", "shutdown_command", "yes"),
        ("-R 5", "reqs_per_event", "5"),
        ("-b 7", "tcp_backlog", "7"),
        ("-B ascii", "binding_protocol", "ascii"),
        ("-I 2m", "item_size_max", "2097152"),
        ("-U 11211", "udpport", "11211"),
        ("-l 10.99.0.2", "inter", "10.99.0.2"),
        ("-v -v", "verbosity", "2"),
        ("-X -W -t 2", "num_threads", "1"),
        ("-o no_lru_crawler", "lru_crawler", "no"),
        ("-o idle_timeout=9,modern", "idle_timeout", "9"),
        ("-o hot_lru_pct=10 -o warm_lru_pct=30", "hot_lru_pct", "10"),
        ("-o lru_crawler_sleep=7,lru_crawler_tocrawl=8", "lru_crawler_tocrawl", "8"),
    ],
)
def test_what_is_set_is_reported(build: str, arguments: str, name: str, value: str) -> None:
    with served(appliance("memcached", build), arguments.split()) as running:
        assert stat(running, b" settings")[name] == value


def test_statistics_have_the_names_of_memcached_in_its_order(memcached: Served) -> None:
    assert "\n".join(stat(memcached, b"")) == NAMES[0]
    assert "\n".join(stat(memcached, b" settings")) == NAMES[1].strip()


def test_items_are_told_of_by_segment(memcached: Served) -> None:
    assert stat(memcached, b" items") == {}
    memcached.ask(b"set a 0 0 1\r\nx\r\nget a\r\n")
    found = stat(memcached, b" items")
    assert "\n".join(name.removeprefix("items:1:") for name in found) == NAMES[2].strip()
    of_segments = sum(int(found[f"items:1:number_{name}"]) for name in ("hot", "warm", "cold"))
    hits = sum(int(found[f"items:1:hits_to_{name}"]) for name in ("hot", "warm", "cold"))
    assert (found["items:1:number"], of_segments, hits) == ("1", 1, 1)


def test_size_classes_are_told_of(memcached: Served) -> None:
    assert stat(memcached, b" slabs") == {"active_slabs": "0", "total_malloced": "0"}
    memcached.ask(b"set a 0 0 1\r\n1\r\nincr a 1\r\nget a\r\nget a\r\ntouch a 0\r\nadd a 0 0 1\r\nx\r\n")
    memcached.ask(b"set b 0 0 1000\r\n" + b"v" * 1000 + b"\r\ncas b 0 0 1 99\r\nx\r\ndelete b\r\n")
    found = stat(memcached, b" slabs")
    expected = {"chunk_size": "96", "used_chunks": "1", "get_hits": "2", "cmd_set": "3", "incr_hits": "1"}
    assert {name: found[f"1:{name}"] for name in expected} == expected, "what was to be stored counts by its own size"
    expected = {"chunk_size": "1184", "used_chunks": "0", "cmd_set": "1", "cas_badval": "1", "delete_hits": "1"}
    assert {name: found[f"12:{name}"] for name in expected} == expected
    assert (found["1:touch_hits"], found["active_slabs"]) == ("1", "2")
    assert [name[2:] for name in found if name.startswith("1:")] == NAMES[3].split()


def test_connections_are_told_of(memcached: Served) -> None:
    found = stat(memcached, b" conns")
    assert found["1:listen_addr"] == "tcp:10.99.0.2:11211"
    assert found["1:addr"].startswith("tcp:10.99.0.1:")


def test_without_evictions_what_does_not_fit_is_refused(build: str) -> None:
    with served(appliance("memcached", build), ["-m", "1", "-I", "512k", "-M"]) as running:
        store = b"".join(b"set k%d 0 0 100000\r\n" % i + b"v" * 100_000 + b"\r\n" for i in range(12))
        answer = running.ask(store)
        assert answer.startswith(b"STORED\r\n" * 6)
        assert answer.endswith(b"SERVER_ERROR out of memory storing object\r\n")
        assert running.ask(b"get k0\r\n").startswith(b"VALUE k0 0 100000")


def test_without_cas_its_numbers_are_0(build: str) -> None:
    with served(appliance("memcached", build), ["-C"]) as running:
        assert running.ask(b"set a 0 0 1\r\nx\r\ngets a\r\n") == b"STORED\r\nVALUE a 0 1 0\r\nx\r\nEND\r\n"


def test_flush_all_may_be_forbidden(build: str) -> None:
    with served(appliance("memcached", build), ["-F"]) as running:
        assert running.ask(b"flush_all\r\n") == b"CLIENT_ERROR flush_all not allowed\r\n"


def test_a_protocol_may_be_the_only_one(build: str) -> None:
    with served(appliance("memcached", build), ["-B", "binary"]) as running:
        client = running.connect()
        running.send(client, b"version\r\n" + bytes(24))
        assert client.server_closed


def test_it_listens_where_it_is_told(build: str) -> None:
    with served(
        appliance("memcached", build), ["-U", "9", "-l", "10.99.0.2:4000,10.99.0.2:4001"], port=4001
    ) as running:
        assert running.ask(b"version\r\n") == b"VERSION 1.6.18\r\n"
        assert sorted(listener.port for listener in running.node.tcp.listening()) == [4000, 4001]


def test_an_address_that_is_not_the_nodes_is_an_error(build: str) -> None:
    with (
        pytest.raises(OSError, match="not an address of this node"),
        served(appliance("memcached", build), ["-l", "192.0.2.1"]),
    ):
        pass


def test_the_command_shutdown_ends_the_node(build: str) -> None:
    with served(appliance("memcached", build), ["-A"]) as running:
        client = running.connect()
        running.send(client, b"shutdown\r\n")
        running.simulation.run_until(lambda: running.node.stopped, within=10 * SECOND)
        assert client.server_closed
        assert client.received == b""


@pytest.mark.parametrize(("arguments", "left"), [([], 1), (["-o", "no_lru_crawler"], 1001)])
def test_what_expired_is_reclaimed_without_being_asked_for(build: str, arguments: list[str], left: int) -> None:
    with served(appliance("memcached", build), arguments) as running:
        running.ask(b"".join(b"set k%d 0 5 1\r\nx\r\n" % i for i in range(1000)) + b"set stays 0 0 1\r\nx\r\n")
        running.simulation.advance(130 * SECOND)
        assert stat(running, b"")["curr_items"] == str(left)
        assert stat(running, b"")["crawler_reclaimed"] == str(1001 - left)


def test_idle_connections_are_closed(build: str) -> None:
    with served(appliance("memcached", build), ["-o", "idle_timeout=10"]) as running:
        idle, busy = running.connect(), running.connect()
        for _ in range(5):
            running.simulation.advance(4 * SECOND)
            running.send(busy, b"version\r\n")
        assert idle.server_closed
        assert not busy.server_closed
        assert stat(running, b"")["idle_kicks"] == "1"


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        *((b"slabs automove " + level, b"OK\r\n") for level in (b"0", b"2", b"01")),
        *((b"slabs automove " + level, b"CLIENT_ERROR bad command line format\r\n") for level in (b"x", b"-1", b"5a")),
        *((b"slabs" + rest, b"ERROR\r\n") for rest in (b"", b" automove", b" automove 7", b" x")),
        *((b"lru_crawler" + rest, b"ERROR\r\n") for rest in (b"", b" crawl", b" crawl 1 2", b" sleep 1 2", b" x")),
        *((b"lru_crawler crawl " + of, b"BADCLASS invalid class id\r\n") for of in (b"x", b"0", b"500", b"1,x")),
        *((b"lru_crawler crawl " + of, b"OK\r\n") for of in (b"all", b"1,2")),
    ],
)
def test_an_operators_words_are_answered_as_by_memcached(build: str, command: bytes, answer: bytes) -> None:
    with served(appliance("memcached", build)) as running:
        assert running.ask(command + b"\r\n") == answer


def test_who_left_a_line_unfinished_is_idle_and_a_value_is_awaited(build: str) -> None:
    with served(appliance("memcached", build), ["-o", "idle_timeout=10"]) as running:
        line, value = running.connect(), running.connect()
        running.send(line, b"get a")
        running.send(value, b"set a 0 0 10\r\n12345")
        running.simulation.advance(30 * SECOND)
        assert line.server_closed
        assert running.ask(b"67890\r\n", client=value) == b"STORED\r\n"


def test_a_limit_above_what_the_pool_was_made_for_is_refused(build: str) -> None:
    with served(appliance("memcached", build), ["-m", "100"]) as running:
        assert running.ask(b"cache_memlimit 100\r\n") == b"OK\r\n"
        assert running.ask(b"cache_memlimit 101\r\n") == b"MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n"


def test_the_segments_can_be_tuned(memcached: Served) -> None:
    script = b"lru tune 30 40 0.1 2.0\r\nlru tune 50 50 0.1 2.0\r\nlru mode segmented\r\nlru mode flat\r\nlru\r\n"
    answer = b"OK\r\nERROR hot and warm pcts must not exceed 80\r\nOK\r\nERROR\r\nERROR\r\n"
    assert memcached.ask(script) == answer
    assert stat(memcached, b" settings")["hot_lru_pct"] == "30"


def test_the_crawler_can_be_steered(memcached: Served) -> None:
    script = (
        b"lru_crawler enable\r\nlru_crawler disable\r\nlru_crawler crawl all\r\nlru_crawler sleep 99999999\r\n"
        b"lru_crawler sleep 5\r\nlru_crawler tocrawl x\r\nlru_crawler tocrawl 9\r\nlru_crawler foo\r\n"
    )
    assert memcached.ask(script) == (
        b"ERROR failed to start lru crawler thread\r\nOK\r\nCLIENT_ERROR lru crawler disabled\r\n"
        b"CLIENT_ERROR sleep must be one second or less\r\nOK\r\n"
        b"CLIENT_ERROR bad command line format\r\nOK\r\nERROR\r\n"
    )
    settings = stat(memcached, b" settings")
    assert [settings[name] for name in ("lru_crawler", "lru_crawler_sleep", "lru_crawler_tocrawl")] == ["no", "5", "9"]
    memcached.ask(b"set k 0 1 1\r\nx\r\n")
    memcached.simulation.advance(130 * SECOND)
    assert stat(memcached, b"")["curr_items"] == "1"
    assert memcached.ask(b"lru_crawler enable\r\nlru_crawler crawl all\r\n") == b"OK\r\nOK\r\n"
    memcached.simulation.advance(SECOND)
    assert stat(memcached, b"")["curr_items"] == "0"


def test_options_do_not_need_a_node() -> None:
    with pytest.raises(click.UsageError, match="refused"):
        appliance_options(appliance("memcached", "compiled"), ["-Z"])
