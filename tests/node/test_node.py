"""Wiring a node, draining it, and giving everything back."""

import logging
from dataclasses import dataclass, field

import pytest

from netapp.drivers.memory import MemoryWire
from netapp.ebb.core import BUFFER_POOL, TCP, EbbError, EbbRef, Representative
from netapp.iobuf.chain import Chain
from netapp.net.config import InterfaceConfig
from netapp.node.appliance import Appliance
from netapp.node.config import NodeConfig
from netapp.node.node import Node
from netapp.node.simulation import MILLISECOND, SECOND, Simulation
from netapp.tcp.handler import TcpHandler
from tests.support.appliances import Client, Served, served


class Session(TcpHandler):
    def receive(self, data: Chain) -> None:
        if bytes(data) == b"raise":
            raise ValueError("as asked")
        self.send(bytes(2_000_000) if bytes(data) == b"large" else b"got %d" % len(data))

    def peer_closed(self) -> None:
        pass  # keeps the connection half open


class Listening(Appliance):
    """For tests.

    With a second paragraph.
    """

    @dataclass(frozen=True)
    class Options(Appliance.Options):
        port: int = field(default=7, metadata={"flags": ("-p", "--port")})

    options: Options
    stops = 0

    def start(self) -> None:
        self.tcp.listen(self.options.port, Session)

    def stop(self) -> None:
        self.stops += 1


def test_an_appliance_is_served_and_has_what_it_needs() -> None:
    with served(Listening, port=7) as running:
        appliance = running.node.appliance
        assert appliance is not None and appliance.node is running.node
        assert running.ask(b"hello", client=running.steady) == b"got 5"
        with running.node.core:
            assert EbbRef(TCP)() is appliance.tcp
        assert appliance.wall_clock.nanoseconds() > 10**18
        assert appliance.events.now == running.simulation.clock.time
        assert appliance.description() == "For tests."
        assert running.node.counters()["TcpManager"]["accepts"] == 1


def test_stopping_closes_connections_in_order() -> None:
    with served(Listening, port=7) as running:
        idle, closed = running.connect(), running.connect()
        with running.client.core:
            closed.close()
        running.simulation.settle()
        running.stop()
        running.simulation.settle()
        assert idle.ended and closed.ended
        assert idle.error is None and closed.error is None
        assert running.node.appliance.stops == 1  # type: ignore[union-attr]
        assert running.node.tcp.listening() == []


def test_a_peer_that_only_listens_does_not_hold_the_node() -> None:
    class Idle(Client):
        def peer_closed(self) -> None:
            self.server_closed = True

    with served(Listening, port=7) as running:
        idle = Idle()
        with running.client.core:
            running.client.tcp.connect("10.99.0.2", 7, lambda: idle)
        running.simulation.run_until(lambda: idle.is_connected)
        began = running.simulation.clock.time
        running.stop()
        assert idle.server_closed
        assert running.simulation.clock.time - began < 100 * MILLISECOND


def stuck(running: Served) -> Client:
    """A client that does not take what it asked for."""
    client = running.connect()
    with running.client.core:
        client.pause()
    running.send(client, b"large")
    return client


def test_what_is_not_acknowledged_is_reset_at_the_deadline() -> None:
    with served(Listening, port=7) as running:
        client = stuck(running)
        began = running.simulation.clock.time
        running.node.stop(grace=300 * MILLISECOND)
        running.simulation.run_until(lambda: running.node.stopped)
        assert 300 * MILLISECOND <= running.simulation.clock.time - began <= 310 * MILLISECOND
        running.simulation.settle()
        assert isinstance(client.error, ConnectionResetError)


def test_a_second_stop_does_not_wait() -> None:
    with served(Listening, port=7) as running:
        client = stuck(running)
        running.node.stop()
        running.simulation.settle()
        assert not running.node.stopped
        running.node.stop()
        running.simulation.settle()
        assert running.node.stopped and client.ended


def test_an_exception_resets_its_connection_only(caplog: pytest.LogCaptureFixture) -> None:
    with served(Listening, port=7) as running:
        good, bad = running.connect(), running.connect()
        with caplog.at_level(logging.ERROR):
            running.send(bad, b"raise")
            running.simulation.settle()
        assert isinstance(bad.error, ConnectionResetError)
        assert running.ask(b"hello", client=good) == b"got 5"
        assert "as asked" in caplog.text or "receive() of Session raised" in caplog.text
        caplog.clear()


def test_what_start_raises_comes_out_of_a_closed_node() -> None:
    class Broken(Appliance):
        def start(self) -> None:
            self.tcp.listen(7, Session)
            self.tcp.listen(7, Session)

        def stop(self) -> None:
            raise AssertionError("stop() without a start() that returned")

    with Simulation() as simulation:
        wire = simulation.wire()
        node = Node(simulation.platform(), wire.a, Broken(), NodeConfig(spin=0))
        with pytest.raises(OSError, match="port 7 has a listener already"):
            node.start()
        node.close()
        with node.core, pytest.raises(EbbError):
            EbbRef(BUFFER_POOL)


def test_an_exception_of_stop_does_not_keep_the_node_from_ending(caplog: pytest.LogCaptureFixture) -> None:
    class Clumsy(Listening):
        def stop(self) -> None:
            raise ValueError("clumsy")

    with served(Clumsy, port=7) as running, caplog.at_level(logging.ERROR):
        running.stop()
        assert "stop() of the appliance raised" in caplog.text


def test_slots_that_are_still_in_use_are_named(caplog: pytest.LogCaptureFixture) -> None:
    with Simulation() as simulation:
        node = simulation.node(simulation.wire().a)
        with node.core:
            kept = Chain()
            kept.write(b"kept")
        with caplog.at_level(logging.ERROR):
            node.close()
        assert "1 slots and 1 iobufs are still in use: appliance 2048 bytes" in caplog.text
        kept.clear()


def test_ebbs_of_the_appliance_go_after_its_connections() -> None:
    order = []

    class Part(Representative):
        def destroy(self) -> None:
            order.append("part")

    class Late(Session):
        def closed(self, error: OSError | None) -> None:
            order.append("closed")

    class WithPart(Appliance):
        def start(self) -> None:
            part = EbbRef(self.node.create_ebb(lambda core, ebb_id: Part()))
            part()
            self.tcp.listen(7, Late)

    with served(WithPart, port=7) as running:
        running.connect()
        running.node.close()
        assert order == ["closed", "part"]


def test_a_pool_is_as_large_as_the_appliance_asks_for() -> None:
    class Large(Listening):
        def pool_bytes(self) -> int:
            return 100 << 20

    with served(Large, port=7) as running:
        assert 99 << 20 < running.node.pool.free_bytes() <= 100 << 20
    with served(Large, port=7, config=NodeConfig(pool_bytes=8 << 20)) as running:
        assert running.node.pool.free_bytes() <= 8 << 20


def test_wrong_uses_are_refused() -> None:
    with Simulation() as simulation:
        platform = simulation.platform()
        wire = MemoryWire()
        with pytest.raises(ValueError, match="1 devices, and interfaces on 2"):
            Node(platform, wire.a, config=NodeConfig(interfaces=(InterfaceConfig(), InterfaceConfig("10.1.0.1/24"))))
        node = Node(platform, wire.a)
        with pytest.raises(ValueError, match="one core"):
            node.start(1, 2)
        node.close()
        node.close()
        wire.close()


# --- the simulation ----------------------------------------------------------------------------------------------


def test_time_jumps_from_timer_to_timer() -> None:
    with Simulation() as simulation:
        node = simulation.node(simulation.wire().a)
        fired: list[int] = []
        with node.core:
            for delay in (5 * SECOND, SECOND, 3 * SECOND):
                at = simulation.clock.time + delay
                node.timers.call_at(at, lambda at=at: fired.append(simulation.clock.time - at))
        simulation.advance(4 * SECOND)
        assert fired == [0, 0]
        simulation.run_until(lambda: len(fired) == 3)
        with pytest.raises(TimeoutError):
            simulation.run_until(lambda: False, within=SECOND)


def test_a_simulation_repeats_itself() -> None:
    def frames() -> list[bytes]:
        with Simulation(seed=3) as simulation:
            wire = simulation.wire()
            node = simulation.node(wire.a)
            with node.core:
                node.tcp.connect("10.99.0.1", 80, Client)
            simulation.advance(3 * SECOND)
            with simulation.outside:
                found: list[bytes] = wire.b.receive()
            return found

    assert frames() == frames() != []
