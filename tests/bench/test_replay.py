"""`python -m bench.path --replay`: a memcached under the virtual clock is captured, and its clients replayed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.path import instructions, main
from bench.recording import CLOSE, OPEN, TEXT, Recording, Step, read
from bench.replay import Replay, outcome
from netapp.drivers.capture import CaptureDevice
from netapp.hosted.counter import measuring_clock
from netapp.node.breakdown import Breakdown
from netapp.node.simulation import SECOND, Simulation
from tests.support.appliances import Client, appliance

LARGE = 100_000


def ask(simulation: Simulation, client: Client, text: bytes, length: int) -> None:
    """Until so many more bytes have come."""
    before = len(client.received)
    with simulation.nodes[1].core:
        client.send(text)
    simulation.run_until(lambda: len(client.received) - before >= length or client.server_closed, 10 * SECOND)


def first_clients(simulation: Simulation, connect: Callable[[], Client]) -> None:
    one, two = connect(), connect()
    ask(simulation, one, b"set large 0 0 %d\r\n%b\r\n" % (LARGE, b"x" * LARGE), 8)
    ask(simulation, two, b"set small 0 0 5\r\nvalue\r\n", 8)
    for _ in range(3):
        ask(simulation, one, b"get small\r\nget none\r\n", 27 + 5)
        ask(simulation, two, b"get large\r\n", LARGE)
    simulation.settle()
    ask(simulation, one, b"quit\r\n", 1)
    with simulation.nodes[1].core:
        two.close()
    simulation.advance(SECOND)


def captured(path: Path, clients: Callable[[Simulation, Callable[[], Client]], None]) -> Recording:
    with Simulation() as simulation:
        wire = simulation.wire()
        capture = CaptureDevice(wire.a, path, simulation.wall_clock)
        simulation.node(capture, appliance("memcached", "compiled")(), notify=wire.a)
        peer = simulation.node(wire.b, None, "10.99.0.1/24")

        def connect() -> Client:
            made = Client()
            with peer.core:
                peer.tcp.connect("10.99.0.2", 11211, lambda: made)
            simulation.run_until(lambda: made.is_connected)
            return made

        clients(simulation, connect)
    return read(str(path))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return captured(tmp_path_factory.mktemp("capture") / "memcached.pcapng", first_clients)


def text_of(recording: Recording, connection: int) -> bytes:
    return b"".join(step.text for step in recording.steps if step.connection == connection)


def test_the_capture_has_what_the_clients_sent(recording: Recording) -> None:
    assert recording.connections == 2 and recording.left_out.keys() <= {"frames without a TCP segment"}
    one = b"set large 0 0 %d\r\n%b\r\n" % (LARGE, b"x" * LARGE) + b"get small\r\nget none\r\n" * 3 + b"quit\r\n"
    assert text_of(recording, 0) == one
    assert text_of(recording, 1) == b"set small 0 0 5\r\nvalue\r\n" + b"get large\r\n" * 3


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("device_checksums", [True, False])
def test_it_is_replayed_to_the_end(recording: Recording, compiled: bool, device_checksums: bool) -> None:
    replay = Replay(recording, compiled, device_checksums)
    for _ in range(2):  # each time from the beginning
        assert replay.play() > 0
        assert replay.bed is not None
        clients, tcp = replay.bed.clients, replay.bed.node.tcp.counters()
        assert (clients.early, clients.dropped, clients.wrong) == (0, 0, 0)
        assert tcp["accepts"] == 2 and tcp["closed"] >= 1
        assert not any(value for name, value in tcp.items() if name.startswith("dropped"))
        assert tcp["retransmitted"] == 0 and tcp["resets_in"] == tcp["resets_out"] == 0
    replay.close()


def test_what_comes_of_it(recording: Recording) -> None:
    found = outcome(recording)
    assert (found["connections"], found["requests"]) == (2, recording.requests)
    # Three gets of each key, a third of which is not there.
    assert (found["gets"], found["hits"], found["early"], found["dropped"]) == (9, 6, 0, 0)


def test_where_the_replies_are_others(recording: Recording) -> None:
    """The values that were stored before the capture began are not there: nothing waits for them for ever."""
    asking = [step for step in recording.steps if not step.text.startswith((b"set", b"x"))]
    found = outcome(Recording(recording.path, 2, asking))
    assert (found["gets"], found["hits"]) == (9, 0)
    assert found["early"] > 0 and found["dropped"] == 0


def test_what_follows_the_server_s_end_is_not_sent() -> None:
    steps = [
        Step(0, OPEN, b"", 0),
        Step(0, TEXT, b"quit\r\n", 0),
        Step(1, OPEN, b"", 0),
        Step(1, TEXT, b"get a\r\n", 0),
        Step(0, TEXT, b"get a\r\n", 0),
        Step(1, CLOSE, b"", 5),
    ]
    found = outcome(Recording("-", 2, steps))
    assert (found["gets"], found["dropped"], found["early"]) == (1, 1, 0)


def test_many_connections_at_once() -> None:
    count = 300
    steps = [Step(number, OPEN, b"", 0) for number in range(count)]
    steps += [Step(number, TEXT, b"set %d 0 0 1\r\n1\r\n" % number, 0) for number in range(count)]
    steps += [Step(number, TEXT, b"get %d\r\n" % (count - 1 - number), 8) for number in range(count)]
    recording = Recording("-", count, steps)
    found = outcome(recording)
    assert (found["gets"], found["hits"], found["early"], found["dropped"]) == (count, count, 0, 0)
    replay = Replay(recording, True, True)
    replay.play()
    assert replay.bed is not None
    # The last replies are acknowledged, too.
    assert replay.bed.node.tcp.counters()["retransmitted"] == 0
    assert all(connection.flight_size == 0 for connection in replay.bed.node.tcp.connections())
    replay.close()


def test_its_parts(recording: Recording) -> None:
    breakdown = Breakdown(measuring_clock())
    replay = Replay(recording, True, True, breakdown)
    replay.play()
    report = breakdown.report()
    # A value that came in many segments is given to the appliance in as many pieces.
    assert report["requests"] >= recording.requests
    assert report["parts"]["appliance"]["ns"] > 0 and report["idle_turns"] < 100
    replay.close()


def test_the_report(recording: Recording) -> None:
    done = CliRunner().invoke(main, ["--replay", recording.path, "--rounds", "2", "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.output)
    assert list(report) == ["compiled", "python", "replay"]
    for name in ("compiled", "python"):
        assert report[name]["ns_per_request"] > 0 and report[name]["instructions_per_request"] is None
        # The large value is put together from its segments once.
        assert report[name]["bytes_copied_per_request"] < 3 * LARGE / recording.requests
    assert report["replay"]["hits"] == 6 and report["replay"]["file"] == recording.path
    lines = CliRunner().invoke(main, ["--replay", recording.path, "--rounds", "2", "--breakdown"]).output.splitlines()
    assert lines[3].startswith("appliance ") and lines[13].startswith(f"replayed: {recording.requests} pieces of 2 ")


def test_a_bad_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no capture")
    for name in ("text", "missing"):
        done = CliRunner().invoke(main, ["--replay", str(tmp_path / name)])
        assert done.exit_code == 2 and done.output.count("\n") == 1
        assert done.output.startswith(f"Error: {tmp_path / name}: ")


@pytest.mark.system
def test_its_instructions(recording: Recording) -> None:
    found = instructions(True, True, recording)
    if found is None:
        pytest.skip("valgrind, which counts instructions, is not installed")
    assert 1000 < found < 1_000_000
