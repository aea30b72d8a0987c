"""What a server that stalls looks like: in the open loop, where times count from when a request was due, it cannot
hide; in the closed loop it does."""

import time

import pytest

from tests.bench.drive import run, worker_of
from tests.bench.server import Server

STALL = 0.4
MS = 1_000_000


def test_a_stall_shows_in_the_open_loops_percentiles() -> None:
    with Server().running() as server:
        worker = worker_of(server, 4, rate=150, open_loop=True)
        server.stalls[45] = STALL
        counters = run(worker, 1.4)
    assert counters["cmd_get"] + counters["cmd_set"] + counters["unsent"] + worker.unanswered == 210
    # 60 requests were due in the stall, and waited between all of it and nothing
    times = worker.gets
    times.add(worker.sets)
    assert counters["late"] >= 60 - 4 - 10
    assert times.most >= STALL * 1000 * MS
    assert times.percentile(0.99) > 0.9 * STALL * 1000 * MS
    assert times.percentile(0.9) > 0.35 * STALL * 1000 * MS
    # Most of the rest did not, though a machine that others use takes its time to make up for the stall.
    assert times.percentile(0.3) < 0.25 * STALL * 1000 * MS
    assert counters["unsent"] + worker.unanswered < 30


def test_the_same_stall_hides_in_the_closed_loop() -> None:
    with Server().running() as server:
        worker = worker_of(server, 4)
        server.stalls[50] = STALL
        counters = run(worker, 1.2)
    total = counters["cmd_get"] + counters["cmd_set"]
    times = worker.gets
    times.add(worker.sets)
    assert total > 100
    assert times.most >= STALL * 1000 * MS
    # But for one request of each client, and as many more on a machine that others use.
    assert times.percentile(1 - 8 / total) < 0.25 * STALL * 1000 * MS


@pytest.mark.parametrize("pace", ["open", "closed"])
def test_requests_come_at_the_rate(pace: str) -> None:
    with Server().running() as server:
        worker = worker_of(server, 8, rate=400, open_loop=pace == "open")
        counters = run(worker, 1.0)
    done = counters["cmd_get"] + counters["cmd_set"]
    assert done == pytest.approx(400, abs=20)
    if pace == "open":
        assert done + counters["unsent"] + worker.unanswered == 400


def test_the_closed_loops_pace_counts_from_when_a_request_was_sent() -> None:
    with Server().running() as server:
        worker = worker_of(server, 4, rate=500)
        server.stalls[100] = STALL
        run(worker, 1.0)
    times = worker.gets
    times.add(worker.sets)
    assert times.percentile(0.98) < 0.25 * STALL * 1000 * MS


def test_what_a_server_never_answers_counts_with_the_time_that_it_waited() -> None:
    with Server().running() as server:
        worker = worker_of(server, 4, rate=200, open_loop=True)
        server.silent_from = 60
        began = time.monotonic()
        counters = run(worker, 0.8)
    assert time.monotonic() - began < 10
    assert counters["cmd_get"] + counters["cmd_set"] == 59
    assert worker.unanswered == 4
    assert counters["unsent"] == 160 - 59 - 4 == worker.waited.count
    assert worker.waited.most == pytest.approx(0.8e9 - 63 * 1e9 / 200)  # the first of them was due after 63
    assert worker.gets.count + worker.sets.count == 63
    assert max(worker.gets.most, worker.sets.most) > 1400 * MS  # and a second more for late answers


def test_a_server_too_slow_for_the_rate_is_seen_to_be() -> None:
    def slow(reply: bytes) -> list[bytes]:
        time.sleep(0.01)
        return [reply]

    with Server(slow).running() as server:
        worker = worker_of(server, 4, rate=300, open_loop=True)
        counters = run(worker, 1.0)
    assert 40 < counters["cmd_get"] + counters["cmd_set"] <= 104
    assert counters["unsent"] >= 300 - 104
    times = worker.gets
    times.add(worker.waited)
    assert times.percentile(0.5) > 100 * MS


def test_what_began_before_the_measuring_does_not_count() -> None:
    with Server().running() as server:
        worker = worker_of(server, 4, rate=200, open_loop=True)
        server.stalls[5] = 0.2
        now = time.monotonic_ns()
        worker.run(now, now + 300 * MS, now + 600 * MS)
        worker.close()
    done = worker.counters["cmd_get"] + worker.counters["cmd_set"]
    assert done + worker.counters["unsent"] + worker.unanswered == 60
    assert worker.gets.count + worker.sets.count == done + worker.unanswered
    times = worker.gets
    times.add(worker.sets)
    assert times.percentile(0.5) < 50 * MS  # half of all would have waited for more


def test_a_thread_that_is_asked_to_stop_does() -> None:
    with Server().running() as server:
        worker = worker_of(server, 2)
        worker.stop = True
        began = time.monotonic()
        run(worker)
        assert time.monotonic() - began < 2
