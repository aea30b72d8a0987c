"""Where time goes: everything on the way takes a time of its own here, by a clock that stands still otherwise."""

import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from appliances.examples.primes import Primes
from netapp.drivers.memory import MemoryEnd
from netapp.drivers.python import PythonDevice, RawPort
from netapp.ebb.core import CONGESTION_CONTROL
from netapp.iobuf.chain import Chain
from netapp.net.udp_socket import Endpoint, UdpHandler
from netapp.node.appliance import Appliance
from netapp.node.breakdown import PARTS, WAITING, Breakdown, table
from netapp.node.simulation import MILLISECOND, SECOND, Simulation
from netapp.tcp.congestion.reno import Reno
from netapp.tcp.handler import TcpHandler
from tests.support.appliances import Client

# ns of each call
POLL, TRANSMIT, RECEIVE, ACKNOWLEDGED, RESUMED = 100, 1000, 700, 50, 40
MANY = 2000  # times that text is echoed: more than half of the congestion window, which is asked then


class World:
    """A node whose parts take time, with an appliance, and a client."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.spent: Counter[str] = Counter()
        self.breakdown = Breakdown(simulation.clock)
        self.appliance = Slow(self)
        wire = simulation.wire()
        self.end = wire.a
        driver = Driver(self, wire.a)
        device = self.breakdown.device(PythonDevice(driver))
        self.node = simulation.node(device, self.appliance, notify=wire.a)
        interrupts: Any = self.node.platform.interrupts
        wire.a.queues[0].notify = lambda source: interrupts.raise_interrupt(driver)
        with self.node.core:
            self.node.rebind(CONGESTION_CONTROL, lambda core, ebb_id: Control(self))
        self.breakdown.install(self.node)
        self.peer = simulation.node(wire.b, None, "10.99.0.1/24")

    def spend(self, name: str, nanoseconds: int) -> None:
        self.simulation.clock.advance(nanoseconds)
        self.spent[name] += nanoseconds

    def connect(self) -> Client:
        made = Client()
        with self.peer.core:
            self.peer.tcp.connect("10.99.0.2", 7, lambda: made)
        self.simulation.run_until(lambda: made.is_connected)
        self.simulation.advance(SECOND)
        self.restart()
        return made

    def ask(self, client: Client, text: bytes) -> None:
        with self.peer.core:
            client.send(text)
        self.simulation.advance(SECOND)

    def restart(self) -> None:
        self.spent.clear()
        self.breakdown.restart()

    def parts(self) -> dict[str, int]:
        """ns of each part that took any, apart from what the simulation let pass between turns."""
        report = self.breakdown.report()
        found = {name: report["parts"][name]["ns"] for name in PARTS}
        found |= {name: report[f"{name}_ns"] for name in WAITING}
        assert sum(found.values()) == report["ns"] and report["measuring_ns"] == report["reading_ns"] == 0
        assert report["busy_ns"] == sum(found[name] for name in PARTS)
        del found["outside"]
        return {name: value for name, value in found.items() if value}


class Driver:
    def __init__(self, world: World, end: MemoryEnd) -> None:
        self.world = world
        self.port = RawPort(end.queues[0])

    def poll(self, budget: int) -> list[bytes]:
        self.world.spend("poll", POLL)
        return self.port.receive()

    def transmit(self, frame: bytes, offload: Any) -> bool:
        self.world.spend("transmit", TRANSMIT)
        return self.port.send(frame)

    def enable_interrupts(self) -> bool:
        return self.port.enable_interrupts()


class Control(Reno):
    """`acknowledged` is on the way up, `idle` on the way down."""

    def __init__(self, world: World) -> None:
        self.world = world

    def acknowledged(self, c: Any, acked: int) -> None:
        self.world.spend("acknowledged", ACKNOWLEDGED)

    def idle(self, c: Any) -> None:
        self.world.spend("resumed", RESUMED)


class Slow(Appliance):
    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.ended: list[Any] = []

    def start(self) -> None:
        self.tcp.listen(7, lambda: SlowSession(self))
        self.udp.bind(7, SlowSocket(self))


class SlowSession(TcpHandler):
    def __init__(self, appliance: Slow) -> None:
        self.appliance = appliance

    def receive(self, data: Chain) -> None:
        self.appliance.world.spend("receive", RECEIVE)
        if bytes(data) == b"raise":
            raise ValueError("as asked")
        self.send(bytes(data) * MANY)

    def peer_closed(self) -> None:
        self.appliance.world.spend("peer_closed", 1)
        self.close()

    def closed(self, error: OSError | None) -> None:
        assert self.connection is not None
        self.appliance.world.spend("closed", 2)
        self.appliance.ended.append((self, error))


class SlowSocket(UdpHandler):
    def __init__(self, appliance: Slow) -> None:
        self.appliance = appliance

    def receive(self, datagram: Chain, source: Endpoint) -> None:
        self.appliance.world.spend("receive", RECEIVE)
        self.reply(datagram)

    def closed(self, error: OSError | None) -> None:
        self.appliance.ended.append((self, error))


@pytest.fixture
def world() -> Iterator[World]:
    with Simulation() as simulation:
        made = World(simulation)
        yield made
        with made.node.core:
            made.end.close()  # that Python reads is no device of the node's


def test_each_part_has_what_it_took(world: World) -> None:
    client = world.connect()
    frames = world.node.devices[0].counters()["rx_frames"]
    for _ in range(5):
        world.ask(client, b"hello")
    assert client.received == b"hello" * MANY * 5
    found, spent = world.parts(), world.spent
    idle = found.pop("idle")
    assert found == {
        "device_in": spent["poll"] - idle,
        "network_in": spent["acknowledged"],
        "appliance": 5 * RECEIVE,
        "network_out": spent["resumed"],
        "device_out": spent["transmit"],
    }
    # Polls that found nothing are no request's.
    assert idle > 0 and min(found.values()) > 0
    report = world.breakdown.report()
    assert report["turns"] >= found["device_in"] // POLL and report["idle_turns"] >= idle // POLL
    assert (report["requests"], report["frames_out"]) == (5, spent["transmit"] // TRANSMIT)
    assert report["frames_in"] == world.node.devices[0].counters()["rx_frames"] - frames
    assert report["busy_ns_per_request"] == sum(found.values()) / 5
    assert report["parts"]["appliance"] == {
        "ns": 5 * RECEIVE,
        "ns_per_request": RECEIVE,
        "share": 5 * RECEIVE / sum(found.values()),
        "intervals": 5,
    }


def test_datagrams(world: World) -> None:
    answers: list[bytes] = []

    class Asking(UdpHandler):
        def receive(self, datagram: Chain, source: Endpoint) -> None:
            answers.append(bytes(datagram))

    asking = Asking()
    with world.peer.core:
        world.peer.udp.connect("10.99.0.2", 7, asking)
        asking.send(b"first, which asks for the address")
    world.simulation.advance(SECOND)
    world.restart()
    for _ in range(3):
        with world.peer.core:
            asking.send(b"hello")
        world.simulation.advance(SECOND)
    assert answers[1:] == [b"hello"] * 3
    found = world.parts()
    del found["idle"]
    assert found == {"device_in": 3 * POLL, "appliance": 3 * RECEIVE, "device_out": 3 * TRANSMIT}
    assert world.breakdown.report()["requests"] == 3
    (socket,) = world.node.udp.sockets()
    with world.node.core:
        socket.close()
    ((handler, error),) = world.appliance.ended
    assert handler.socket is None and error is None


def test_what_the_loop_runs(world: World) -> None:
    world.simulation.advance(SECOND)
    world.restart()
    with world.node.core:
        world.node.events.spawn(lambda: world.spend("event", 30))
        world.node.timers.call_at(world.node.events.now + MILLISECOND, lambda: world.spend("timer", 5))
    world.simulation.advance(2 * MILLISECOND)
    found = world.parts()
    found.pop("idle", None)
    # A turn that ran an event is no idle one, whatever its pollers found; by then interrupts are what wakes it.
    assert found == {"appliance": 30, "timers": 5}


def test_sleep(world: World) -> None:
    world.simulation.advance(SECOND)
    world.restart()
    with world.node.core:
        world.node.timers.call_at(world.node.events.now + 3 * MILLISECOND, world.node.events.stop)
    world.node.run()
    found = world.parts()
    assert found == {"sleep": 3 * MILLISECOND}
    assert world.breakdown.report()["outside_ns"] == 0


def test_a_handler_that_raises(world: World, caplog: pytest.LogCaptureFixture) -> None:
    client = world.connect()
    with caplog.at_level(logging.CRITICAL, "netapp"):
        world.ask(client, b"raise")
    assert isinstance(client.error, ConnectionResetError)
    ((session, error),) = world.appliance.ended
    assert isinstance(error, ConnectionAbortedError) and session.connection is None
    found = world.parts()
    del found["idle"]
    assert found == {"device_in": POLL, "appliance": RECEIVE + 2, "device_out": TRANSMIT}


def test_the_end_of_a_connection_is_the_appliance_s(world: World) -> None:
    client = world.connect()
    with world.peer.core:
        client.close()
    world.simulation.advance(SECOND)
    ((session, error),) = world.appliance.ended
    assert session.connection is None and error is None
    assert world.parts()["appliance"] == 3
    with world.node.core:
        assert world.node.tcp.connections() == []


def test_it_starts_over(world: World) -> None:
    client = world.connect()
    world.ask(client, b"hello")
    before = world.breakdown.report()
    world.breakdown.restart()
    after = world.breakdown.report()
    assert before["requests"] == 1 and before["busy_ns"] > 0
    assert (after["requests"], after["ns"], after["turns"], after["frames_in"]) == (0, 0, 0, 0)
    assert all(part["ns"] == 0 and part["ns_per_request"] is None for part in after["parts"].values())
    world.ask(client, b"again")
    assert world.breakdown.report()["requests"] == 1


def test_the_table(world: World) -> None:
    client = world.connect()
    world.ask(client, b"hello")
    lines = table(world.breakdown.report()).splitlines()
    assert lines[0] == "where the time of 1 requests (calls of receive()) went"
    rows = {line[2:16].strip(): line[16:].split() for line in lines[2:]}
    assert rows["appliance"][0] == "700" and rows["device out"][0] == "7,000" and rows["all of these"][1] == "100.0%"
    world.breakdown.restart()
    assert "appliance" in table(world.breakdown.report())  # of nothing, too


def test_an_appliance_with_an_event_manager_of_its_own_keeps_it() -> None:
    with Simulation() as simulation:
        breakdown = Breakdown(simulation.clock)
        wire = simulation.wire()
        node = simulation.node(breakdown.device(wire.a), Primes(), notify=wire.a)
        own = node.events
        with pytest.raises(ValueError, match=f"a {type(own).__name__} of its own"):
            breakdown.install(node)
        assert node.events is own
