"""The client libraries that people use, each running one script: against Debian's memcached, which proves the script,
and against ours over a tap."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from bench.debian import NotFetched, fetched
from tests.memcached.debian import debian
from tests.support.command import Running, netapp
from tests.support.memcached_clients import LIBRARIES, Library
from tests.support.namespaces import network_namespace

pytestmark = pytest.mark.system

OURS = {"compiled": ("10.99.0.2", 11211), "uncompiled": ("10.98.0.2", 11211)}
DEBIANS = ("127.0.0.1", 11311)
LARGE = os.urandom(900 << 10)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[str, int]]]:
    """One after the other serves them all."""
    found = dict(OURS)
    with ExitStack() as stack:
        try:
            fetched()
        except NotFetched:
            stack.enter_context(network_namespace())
        else:
            stack.enter_context(network_namespace())
            stack.enter_context(debian(DEBIANS[1]))
            found["debian"] = DEBIANS
        nodes: list[Running] = []
        for build, (address, _) in OURS.items():
            network = address.rpartition(".")[0]
            arguments = ["--tap", build, "--address", f"{address}/24", "--host-address", f"{network}.1/24"]
            if build == "uncompiled":
                arguments.append("--uncompiled")
            folder: Path = tmp_path_factory.mktemp(build)
            nodes.append(stack.enter_context(netapp(folder, "memcached", *arguments)))
        yield found
        for node in nodes:
            assert node.end() == 0 and "Traceback" not in node.said(), node.said()


@pytest.fixture(params=["debian", *OURS])
def server(request: pytest.FixtureRequest, servers: dict[str, tuple[str, int]]) -> tuple[str, int]:
    if request.param not in servers:
        pytest.skip("Debian's memcached cannot be fetched")
    return servers[request.param]


# --- the script: each part with the calls that it needs ----------------------------------------------------------

PARTS: list[tuple[set[str], Callable[[Library], None]]] = []


def part(*needs: str) -> Callable[[Callable[[Library], None]], Callable[[Library], None]]:
    def remember(function: Callable[[Library], None]) -> Callable[[Library], None]:
        PARTS.append((set(needs), function))
        return function

    return remember


@part("set", "get", "delete")
def values_come_back(library: Library) -> None:
    assert library.get("none") is None
    for value in (b"", b"x", b"hello\r\nEND\r\n", bytes(range(256)) * 5, LARGE):
        assert library.set("k", value) and library.get("k") == value
    for key in ("a", "k" * 250):
        assert library.set(key, key.encode()) and library.get(key) == key.encode()
    assert library.delete("k") and library.get("k") is None


@part("set", "get", "get_multi")
def flags_come_back(library: Library) -> None:
    """By which libraries remember a value's type."""
    values: dict[str, Any] = {"text": "Grüße, 世界", "number": 42, "bytes": b"\xff\0"}
    for key, value in values.items():
        assert library.set(key, value) and library.get(key) == value
    assert library.get_multi(values) == values


@part("add", "replace", "delete", "get")
def what_is_there_decides(library: Library) -> None:
    assert not library.replace("c", b"0") and library.get("c") is None
    assert library.add("c", b"1") and not library.add("c", b"2") and library.get("c") == b"1"
    assert library.replace("c", b"3") and library.get("c") == b"3"
    assert library.delete("c") and not library.replace("c", b"4") and library.get("c") is None


@part("set", "append", "prepend", "get")
def values_are_joined(library: Library) -> None:
    assert not library.append("j", b"x") and not library.prepend("j", b"x")
    assert library.set("j", b"-") and library.append("j", b"b") and library.prepend("j", b"a")
    assert library.get("j") == b"a-b"


@part("set", "gets", "cas", "get", "delete")
def only_what_was_seen_is_replaced(library: Library) -> None:
    assert library.set("u", b"1")
    value, unique = library.gets("u")
    assert value == b"1" and library.cas("u", b"2", unique) and library.get("u") == b"2"
    assert not library.cas("u", b"3", unique) and library.get("u") == b"2"
    assert library.gets("u")[1] != unique
    assert library.delete("u") and not library.cas("u", b"4", unique) and library.get("u") is None
    assert library.gets("u")[0] is None


@part("set", "incr", "decr", "delete")
def numbers_count(library: Library) -> None:
    assert library.set("n", 41) and library.incr("n", 1) == 42 and library.decr("n", 2) == 40
    assert library.decr("n", 1000) == 0 and library.incr("n", 2**31 - 1) == 2**31 - 1
    assert library.set("n", b"%d" % (2**63 - 2)) and library.incr("n", 1) == 2**63 - 1
    assert library.set("n", 7) and library.incr("n", 3) == 10 and library.get("n") == 10
    library.delete("n")
    if library.creates:
        assert library.incr("n", 5) == 0 and library.incr("n", 5) == 5 and library.delete("n")
    else:
        assert library.incr("n", 1) is None and library.decr("n", 1) is None
    if library.not_a_number is not None:
        library.set("n", b"no number")
        with pytest.raises(library.not_a_number):
            library.incr("n", 1)
        assert library.get("n") == b"no number", "it serves on"


@part("set_multi", "get_multi", "get")
def many_at_once(library: Library) -> None:
    values = {f"m{i}": b"%d" % i * (i % 50) for i in range(500)}
    assert library.set_multi(values) and library.get_multi([*values, "none"]) == values
    assert library.get_multi(["none", "nobody"]) == {}
    large = {f"l{i}": bytes([i]) * 100_000 for i in range(20)}
    assert library.set_multi(large) and library.get_multi(large) == large


@part("set", "get_multi")
def many_of_few_sets(library: Library) -> None:
    values = {f"f{i}": b"%d" % i for i in range(100)}
    assert all(library.set(key, value) for key, value in values.items())
    assert library.get_multi(["none", *values]) == values


@part("set", "get")
def a_value_too_large_is_refused(library: Library) -> None:
    library.set("big", b"old")
    with pytest.raises(library.too_large):
        library.set("big", os.urandom(1 << 20))
    assert library.get("big") is None, "an old value would be taken for the new one"
    assert library.set("big", LARGE) and library.get("big") == LARGE


@part("touch", "set", "get")
def touched_values_get_another_time(library: Library) -> None:
    assert not library.touch("t", 100)
    assert library.set("t", b"1") and library.touch("t", 100) and library.get("t") == b"1"
    assert library.touch("t", 31 * 86400) and library.get("t") is None, "a time of day, long past"


@part("set", "get")
def long_times(library: Library) -> None:
    """Above 30 days it is a time of day."""
    for expire in (30 * 86400, int(time.time()) + 1000, 2**31 - 1):
        assert library.set("e", b"1", expire) and library.get("e") == b"1", expire
    for expire in (30 * 86400 + 1, int(time.time()) - 1000):
        assert library.set("e", b"1", expire) and library.get("e") is None, expire


@part("quietly", "get")
def sets_without_an_answer(library: Library) -> None:
    for i in range(100):
        library.quietly(f"q{i % 10}", b"%d" % i)
    assert library.get("q9") == b"99" and library.get("q0") == b"90"


@part("version")
def the_version(library: Library) -> None:
    assert library.version() == "1.6.18"


@part("stats", "set", "get")
def statistics(library: Library) -> None:
    before = library.stats()
    assert library.set("s", b"1") and library.get("s") == b"1" and library.get("none") is None
    after = library.stats()
    grown = {name: int(after[name]) - int(before[name]) for name in ("cmd_set", "get_hits", "get_misses")}
    assert grown == {"cmd_set": 1, "get_hits": 1, "get_misses": 1}
    assert after["version"] == "1.6.18" and after["limit_maxbytes"] == str(64 << 20)


@part("flush_all", "set", "get")
def all_is_flushed(library: Library) -> None:
    assert library.set("f", b"1")
    library.flush_all()
    assert library.get("f") is None
    assert library.set("f", b"2") and library.get("f") == b"2"


# --- who runs it -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_library_runs_the_script(server: tuple[str, int], name: str) -> None:
    with closing(LIBRARIES[name](*server)) as library:
        library.flush_all()
        for needs, run in PARTS:
            if needs.isdisjoint(library.missing):
                run(library)


@pytest.mark.parametrize("name", LIBRARIES)
def test_what_a_library_has_no_call_for_is_known(servers: dict[str, tuple[str, int]], name: str) -> None:
    with closing(LIBRARIES[name](*servers["compiled"])) as library:
        assert library.lacks() == library.missing


def test_values_expire(server: tuple[str, int]) -> None:
    """All libraries wait together."""
    with ExitStack() as stack:
        made = {name: stack.enter_context(closing(cls(*server))) for name, cls in LIBRARIES.items()}
        for name, library in made.items():
            assert library.set(f"{name}-1", b"1", 1) and library.set(f"{name}-9", b"9", 9)
            if "touch" not in library.missing:
                assert library.set(f"{name}-t", b"t", 9) and library.touch(f"{name}-t", 1)
        time.sleep(2.1)  # the servers' clocks tick once a second
        for name, library in made.items():
            found = library.get(f"{name}-1"), library.get(f"{name}-9"), library.get(f"{name}-t")
            assert found == (None, b"9", None), name


@pytest.mark.parametrize("name", ["pymemcache", "pymemcache-pooled", "pymemcache-hashed", "pylibmc-text"])
def test_a_time_below_zero_has_passed(server: tuple[str, int], name: str) -> None:
    with closing(LIBRARIES[name](*server)) as library:
        assert library.set("past", b"1", -1) and library.get("past") is None


def test_coroutines_share_few_connections(server: tuple[str, int]) -> None:
    with closing(LIBRARIES["aiomcache"](*server)) as library:

        async def one(i: int) -> bool:
            key, value = b"co%d" % i, b"%d" % i * (1 + i * 37 % 4000)
            return await library.client.set(key, value) and await library.client.get(key) == value

        async def all_of_them() -> list[bool]:
            return await asyncio.gather(*[one(i) for i in range(200)])

        assert all(library.run(all_of_them()))
