"""The examples that replace a part: what each is for, compiled and uncompiled."""

import pytest

from netapp.ebb.core import CONGESTION_CONTROL, EVENT_MANAGER
from netapp.node.simulation import MILLISECOND, SECOND
from tests.support.appliances import SERVER, Client, appliance, served


def delay_of_ping(build: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, int]:
    """ns until a ping is answered that arrives behind a request for a second of work; and until that is answered."""
    found = appliance("appliances.examples.primes", build)
    with served(found, arguments, port=7001) as running:
        clock = running.simulation.clock
        events = running.node.core.get(EVENT_MANAGER)
        assert type(events).__name__ == ("EventManager" if "0" in arguments else "SlicedEvents")
        assert running.node.appliance is not None and running.node.appliance.events is events

        def count(block: int) -> int:
            clock.advance(MILLISECOND)
            return 7

        monkeypatch.setitem(found.start.__globals__, "count", count)
        worker, other = running.connect(), running.connect()
        began = clock.time
        with running.client.core:
            worker.send(b"1000000\n")
        for _ in range(6):
            running.simulation.step()
        with running.client.core:
            other.send(b"ping\n")
        times = []
        for client, answer in ((other, b"pong\n"), (worker, b"7000\n")):
            for _ in range(5000):
                if client.received:
                    break
                running.simulation.step()
            assert client.received == answer
            times.append(clock.time - began)
        return times[0], times[1]


def test_queued_events_do_not_keep_the_network_waiting(build: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ping, work = delay_of_ping(build, monkeypatch, "--slice", "2000")
    assert ping < 30 * MILLISECOND and SECOND <= work < SECOND + 30 * MILLISECOND
    ping, work = delay_of_ping(build, monkeypatch, "--slice", "0")
    assert ping >= SECOND, "with the plain event manager it waits for all the work"


def test_primes_are_counted(build: str) -> None:
    with served(appliance("appliances.examples.primes", build), port=7001) as running:
        assert running.ask(b"10000\nping\n") == b"pong\n1229\n"
        assert running.ask(b"0\n") == b"0\n"


@pytest.mark.parametrize("control", ["scalable", "reno"])
def test_the_window_grows_and_shrinks_as_the_control_says(build: str, control: str) -> None:
    found = appliance("appliances.examples.chargen", build)
    with served(found, ("--control", control), port=19) as running:
        reader = Client()
        with running.client.core:
            running.client.tcp.connect(SERVER, 19, lambda: reader)
        for _ in range(50):  # it never comes to rest
            running.simulation.step()
        assert len(reader.received) > 1_000_000
        assert type(running.node.core.get(CONGESTION_CONTROL)).__name__ == control.capitalize()
        (connection,) = running.node.tcp.connections()
        assert connection.cwnd > 100_000, "slow start"
        with running.client.core:
            reader.abort()
        running.simulation.settle()
        assert running.node.tcp.connections() == []
        del connection
