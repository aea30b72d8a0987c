"""The generator's threads, on pairs of sockets, against a server that does as it is told."""

import random
import time
from itertools import cycle

import pytest

from tests.bench.drive import pieces, run, worker_of
from tests.bench.server import FRAME, Server

PROTOCOLS = pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])


@PROTOCOLS
def test_gets_and_sets_are_as_many_as_their_shares_say(binary: bool) -> None:
    with Server().running() as server:
        worker = worker_of(server, requests=100, binary_protocol=binary)
        counters = run(worker)
    assert (counters["cmd_get"], counters["cmd_set"]) == (180, 20) == (server.gets, server.sets)
    assert (worker.gets.count, worker.sets.count, counters["errors"], counters["get_misses"]) == (180, 20, 0, 0)


def test_a_mix_of_sets_only_and_of_gets_only() -> None:
    with Server().running() as server:
        assert run(worker_of(server, requests=50, get_share=0.0, set_share=1.0))["cmd_set"] == 100
        assert server.gets == 0
        worker = worker_of(server, requests=50, get_share=1.0, set_share=0.0)
        worker.fill()
        counters = run(worker)
    assert (counters["cmd_get"], counters["cmd_set"], counters["get_misses"]) == (100, 0, 0)
    assert server.sets == 100 + 2 * 64


@PROTOCOLS
@pytest.mark.parametrize("division", [1, 7])
def test_however_replies_are_cut_they_are_understood(binary: bool, division: int) -> None:
    random_ = random.Random(3)
    cuts = [lambda reply: [reply], lambda reply: pieces(1, reply), lambda reply: pieces(random_.randint(1, 90), reply)]
    for cut in cuts:
        with Server(cut).running() as server:
            worker = worker_of(
                server, requests=60, values=(1, 300), verify=1.0, binary_protocol=binary, division=division
            )
            counters = run(worker)
        assert (counters["cmd_get"], counters["cmd_set"]) == (server.gets, server.sets)
        assert counters["cmd_get"] + counters["cmd_set"] == 120
        assert (counters["errors"], counters["verify_failed"], counters["verify_misses"]) == (0, 0, 0)


@PROTOCOLS
def test_large_values_go_both_ways_whole(binary: bool) -> None:
    with Server(lambda reply: pieces(100_000, reply)).running() as server:
        worker = worker_of(server, requests=20, window=8, values=(1 << 20, 1 << 20), verify=1.0, binary_protocol=binary)
        counters = run(worker)
    assert (counters["cmd_get"], counters["cmd_set"], counters["verify_failed"], counters["errors"]) == (36, 4, 0, 0)
    assert counters["read_bytes"] > 36 << 20
    assert {len(value) for value in server.values.values()} == {1 << 20}


@PROTOCOLS
def test_keys_and_values_have_the_lengths_that_were_given(binary: bool) -> None:
    with Server().running() as server:
        worker = worker_of(server, clients=1, window=64, keys=(16, 250), values=(1, 3000), binary_protocol=binary)
        worker.fill()
        worker.close()
    assert len(server.values) == 64
    assert min(map(len, server.keys)) < 40 and max(map(len, server.keys)) > 220
    assert min(map(len, server.values.values())) < 400 and max(map(len, server.values.values())) > 2500
    assert all(key.isascii() and not set(key) & set(b" \r\n\0") for key in server.keys)


def test_objects_are_replaced_by_new_ones_unless_they_are_to_be_overwritten() -> None:
    keys = {}
    for overwrite in (0.0, 0.5, 1.0):
        with Server().running() as server:
            run(worker_of(server, clients=1, requests=2000, window=10, overwrite=overwrite))
        assert server.sets == 200
        keys[overwrite] = len(server.keys)
    assert keys[0.0] == 200
    assert keys[0.5] == pytest.approx(100, abs=3)
    assert keys[1.0] <= 2


@PROTOCOLS
@pytest.mark.parametrize("part", [0.25, 1.0])
def test_a_value_that_was_changed_is_found_where_it_is_looked_at(binary: bool, part: float) -> None:
    def change(reply: bytes) -> list[bytes]:
        if len(reply) < 200:  # not a get's
            return [reply]
        at = len(reply) - (1 if binary else 8)
        return [reply[:at] + bytes([reply[at] ^ 1]) + reply[at + 1 :]]

    with Server(change).running() as server:
        worker = worker_of(server, requests=200, values=(200, 3000), verify=part, binary_protocol=binary)
        counters = run(worker)
    assert counters["cmd_get"] == 360
    assert counters["verify_failed"] == pytest.approx(360 * part, abs=3)
    assert counters["errors"] == 0


def test_a_value_of_another_length_or_of_another_object_is_found() -> None:
    with Server().running() as server:
        worker = worker_of(
            server, clients=1, requests=100, window=4, values=(50, 50), get_share=1, set_share=0, verify=1.0
        )
        worker.fill()
        server.values = {key: value[:-1] for key, value in server.values.items()}
        assert run(worker)["verify_failed"] == pytest.approx(100, abs=1)
    with Server().running() as server:
        worker = worker_of(
            server, clients=1, requests=100, window=4, values=(50, 50), get_share=1, set_share=0, verify=1.0
        )
        worker.fill()
        keys = list(server.values)
        server.values = dict(zip(keys, [server.values[key] for key in keys[1:] + keys[:1]]))
        assert run(worker)["verify_failed"] == pytest.approx(100, abs=1)


@PROTOCOLS
def test_each_verification_that_fails_is_told_where_that_was_asked_for(
    binary: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    with Server().running() as server:
        worker = worker_of(
            server, 1, 20, window=2, values=(50, 50), get_share=1, set_share=0, verify=1.0, verbose=True,
            binary_protocol=binary,
        )  # fmt: skip
        worker.fill()
        (changed, _) = server.values.items()
        server.values = {changed[0]: b"x" * 50}
        counters = run(worker)
    told = capfd.readouterr().err
    assert told.count("data verification failed\n") == counters["verify_failed"] > 0
    assert told.count("data verification failed: not there\n") == counters["verify_misses"] > 0
    assert told.count(f"key: {changed[0].decode()}\n") == counters["verify_failed"]
    assert counters["verify_failed"] + counters["verify_misses"] == pytest.approx(20, abs=1)


@PROTOCOLS
@pytest.mark.parametrize("division", [1, 5])
def test_misses_are_counted(binary: bool, division: int) -> None:
    with Server().running() as server:
        worker = worker_of(
            server, 2, 100, get_share=1, set_share=0, verify=1.0, binary_protocol=binary, division=division
        )
        worker.fill()
        kept = random.Random(1).sample(list(server.values.items()), k=64)
        server.values = dict(kept)
        counters = run(worker)
    assert counters["cmd_get"] == 200
    assert 50 < counters["get_misses"] < 150
    assert counters["verify_misses"] == pytest.approx(counters["get_misses"], abs=2)
    assert (counters["errors"], counters["verify_failed"]) == (0, 0)


def test_objects_that_have_expired_must_not_be_there_any_more() -> None:
    with Server().running() as server:
        worker = worker_of(server, 1, window=20, get_share=1, set_share=0, expiring=0.5, expiry=1)
        worker.fill()
        assert server.expiries == [b"1"] * 10
        counters = run(worker, 4.3)  # a server may be 2 s late; this one keeps them for ever
    assert 0 < counters["expired_get"] < counters["cmd_get"] * 0.5
    assert counters["unexpired_unget"] == 0


@PROTOCOLS
def test_objects_must_not_be_gone_before_they_expire(binary: bool) -> None:
    with Server().running() as server:
        worker = worker_of(
            server, 1, 100, window=20, get_share=1, set_share=0, expiring=0.5, expiry=60, binary_protocol=binary
        )
        worker.fill()
        assert server.expiries == [b"60"] * 10
        server.values.clear()
        counters = run(worker)
    assert counters["get_misses"] == 100
    assert 25 < counters["unexpired_unget"] < 75
    assert (counters["verify_misses"], counters["expired_get"]) == (0, 0)


@pytest.mark.parametrize(
    ("reply", "binary"),
    [
        (b"ERROR\r\n", False),
        (b"SERVER_ERROR out of memory storing object\r\n", False),
        (b"CLIENT_ERROR bad data chunk\r\n", False),
        (b"NOT_STORED\r\n", False),
        (b"", True),
    ],
)
def test_sets_that_are_refused_are_errors_and_the_first_is_kept(reply: bytes, binary: bool) -> None:
    with Server().running() as server:
        server.failure = reply or b"x"
        worker = worker_of(server, 2, 20, binary_protocol=binary)
        counters = run(worker)
    assert counters["errors"] == counters["cmd_set"] == 40  # what was not stored is not asked for
    assert worker.trouble == (reply.decode().strip() or "a binary set was refused: status 0x82")


GARBAGE = (
    b"\r\n",
    b"\0" * 600,
    b"VALUE x 0 5\r\nhello\r\nEND\r\n",
    b"VALUE \r\n",
    b"END\r\nEND\r\n",
    b"STORED\r\nSTORED\r\n",
    b"A" * 2000,
    b"\x81" + b"\xff" * 23,
    b"\x81\0\0\0\0\0\0\0" + b"\xff" * 16,
    b"\x81\0\xff\xff\x04\0\0\0" + b"\0\0\0\x05" + b"\0" * 12,  # a key longer than the body
)


@PROTOCOLS
def test_who_answers_with_garbage_is_left(binary: bool) -> None:
    for garbage in GARBAGE:
        for size in (1, 10_000):
            with Server().running() as server:
                worker = worker_of(server, 2, 20, get_share=1, set_share=0, binary_protocol=binary)
                worker.fill()
                reply = garbage + b"\r\n" * 12  # as long as a header, and with a line's end
                server.change = lambda _, reply=reply, size=size: pieces(size, reply)  # type: ignore[misc]
                counters = run(worker, 5)
            assert worker.lost == [2], garbage
            assert counters["errors"] >= 2
            if size > 1:  # otherwise the beginning may be a reply
                assert (counters["cmd_get"], counters["cmd_set"]) == (0, 0)


def test_many_replies_of_garbage_neither_crash_nor_hang() -> None:
    random_ = random.Random(7)
    words = [
        b"VALUE ",
        b"END",
        b"STORED",
        b"\r\n",
        b" ",
        b"0",
        b"5",
        b"4294967295",
        b"18446744073709551617",
        b"\x81",
        b"\0",
    ]
    for seed in range(30):
        reply = b"".join(random_.choices(words, k=random_.randint(1, 12)))

        def change(real: bytes, reply: bytes = reply) -> list[bytes]:
            at = random_.randint(0, len(real))
            return [real[:at] + reply + real[at:]]

        with Server(change).running() as server:
            worker = worker_of(server, 2, 20, verify=1.0, binary_protocol=seed % 2 == 1, division=1 + seed % 3)
            run(worker, 0.02)


def test_connections_that_end_are_told_and_the_others_go_on() -> None:
    with Server().running() as server:
        worker = worker_of(server, 3)
        server.ends[50] = 1
        counters = run(worker, 0.3)
    assert worker.lost == [1]
    assert counters["errors"] == 1
    assert counters["cmd_get"] + counters["cmd_set"] > 60


def test_when_all_connections_have_ended_so_has_the_run() -> None:
    with Server().running() as server:
        worker = worker_of(server, 3)
        server.ends[50] = 3
        began = time.monotonic()
        counters = run(worker, 20)
    assert time.monotonic() - began < 10
    assert worker.lost == [3]
    assert counters["cmd_get"] + counters["cmd_set"] == 50 - counters["errors"] or counters["errors"] <= 3


def test_connections_of_a_concurrency_are_used_in_turn() -> None:
    with Server().running() as server:
        run(worker_of(server, 2, 60, kinds=(False, False, False)))
    assert list(server.asked.values()) == [20] * 6


def test_replication_sets_to_the_first_servers_and_gets_from_all() -> None:
    with Server().running() as first, Server().running() as second, Server().running() as third:
        servers = cycle((first, second, third))
        run(
            worker_of(
                lambda: next(servers), 2, 200, kinds=(False,) * 3, get_share=0.5, set_share=0.5, writers=2, servers=3
            )
        )
    assert (third.sets, first.sets + second.sets) == (0, 200)
    assert min(first.sets, second.sets, third.gets, first.gets) > 30


@PROTOCOLS
def test_datagrams(binary: bool) -> None:
    with Server().running() as server:
        worker = worker_of(server, 2, 100, kinds=(True,), values=(1, 1000), verify=1.0, binary_protocol=binary)
        counters = run(worker)
    assert (counters["cmd_get"], counters["cmd_set"]) == (180, 20) == (server.gets, server.sets)
    assert (counters["verify_failed"], counters["errors"], counters["packet_disorder"]) == (0, 0, 0)


def _framed(data: bytes, size: int) -> list[bytes]:
    """A framed reply in several datagrams."""
    number, _, _, _ = FRAME.unpack_from(data)
    parts = pieces(size, data[8:])
    return [FRAME.pack(number, i, len(parts), 0) + part for i, part in enumerate(parts)]


@PROTOCOLS
def test_a_reply_in_many_datagrams_is_put_in_order(binary: bool) -> None:
    random_ = random.Random(4)

    def shuffled(reply: bytes) -> list[bytes]:
        parts = _framed(reply, 400)
        random_.shuffle(parts)
        return parts

    with Server(shuffled).running() as server:
        worker = worker_of(
            server, 2, 100, kinds=(True,), values=(1, 60_000), window=16, verify=1.0, get_share=1, set_share=0,
            binary_protocol=binary,
        )  # fmt: skip
        worker.fill()
        counters = run(worker)
    assert (counters["cmd_get"], counters["get_misses"], counters["verify_failed"]) == (200, 0, 0)
    assert counters["errors"] == 0
    assert counters["packet_disorder"] > 1000


def test_datagrams_that_are_lost_late_or_twice_there_cost_their_request_only() -> None:
    random_ = random.Random(4)
    late: list[bytes] = []

    def change(reply: bytes) -> list[bytes]:
        nonlocal late
        parts, before = _framed(reply, 300), late
        if random_.random() < 0.02:
            late = [parts.pop(random_.randrange(len(parts)))]
        elif random_.random() < 0.5:
            parts.insert(0, parts[-1])
            late = []
        return [*before, b"\0", *parts]

    with Server(change).running() as server:
        worker = worker_of(server, 1, kinds=(True,), values=(500, 1300), verify=1.0)
        counters = run(worker, 2.5)
    assert counters["udp_timeout"] > 0
    assert counters["packet_drop"] >= counters["udp_timeout"]
    assert counters["errors"] == counters["udp_timeout"] + worker.unanswered
    assert (counters["verify_failed"], counters["verify_misses"]) == (0, 0)
    assert counters["cmd_get"] > 50
    assert max(worker.gets.most, worker.sets.most) > 1_000_000_000  # what was not answered has waited, too


def test_sets_by_tcp_and_gets_of_several_keys_by_udp() -> None:
    with Server(lambda reply: [reply]).running() as server:
        worker = worker_of(
            server, 2, 200, kinds=(False, False, True), values=(1, 100), division=5, verify=1.0, facebook=True
        )
        counters = run(worker)
    assert (counters["cmd_get"], counters["cmd_set"], counters["verify_failed"]) == (360, 40, 0)
    assert sorted(server.asked.values()) == [10, 10, 10, 10, 36, 36]


def test_datagrams_of_garbage_cost_their_request_only() -> None:
    random_ = random.Random(5)

    def change(reply: bytes) -> list[bytes]:
        return [reply if random_.random() < 0.5 else reply[:8] + random_.choice((*GARBAGE, b"VALUE", b"EN"))]

    with Server(change).running() as server:
        worker = worker_of(server, 2, kinds=(True,), values=(500, 1300), verify=1.0)
        counters = run(worker, 0.5)
    assert worker.lost == [0]
    assert counters["cmd_get"] + counters["cmd_set"] > 50
    assert counters["errors"] > 50
    assert counters["verify_failed"] == 0
