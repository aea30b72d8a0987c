"""Adaptive polling: the switches between polling and interrupts, and no frame lost between them."""

import pytest

from netapp.drivers.memory import MemoryWire
from netapp.drivers.polling import AdaptivePolling
from netapp.drivers.python import PythonDevice, RawPort
from netapp.ebb.core import EbbRef
from tests.support.pools import core_with_pool

FRAME = b"\xff" * 60


class Card:
    """A network card by the book: interrupts on the arrival of a frame, while they are enabled."""

    def __init__(self, core):
        self.core = core
        self.waiting = []
        self.enabled = False
        self.while_arming = []
        self.enables = 0

    def arrive(self, frame=FRAME):
        self.waiting.append(frame)
        if self.enabled:
            self.enabled = False
            self.core.interrupts.raise_interrupt(self)

    def poll(self, budget):
        self.enabled = False
        frames, self.waiting = self.waiting[:budget], self.waiting[budget:]
        return frames

    def enable_interrupts(self):
        # Frames that come after the last poll and before this raise nothing.
        self.enables += 1
        if self.while_arming:
            self.waiting.append(self.while_arming.pop())
        self.enabled = True
        return bool(self.waiting)


@pytest.fixture
def core():
    with core_with_pool() as made:
        yield made


def start(core, spin):
    card = Card(core)
    device = PythonDevice(card)
    port = RawPort(device.queues[0])
    ebb = core.namespace.create(lambda core_, ebb_id: AdaptivePolling(core.interrupts, spin=spin))
    polling = EbbRef(ebb)()
    polling.attach(device.queues[0])
    return card, device.queues[0], port, polling, ebb


def test_it_begins_with_polling_and_sleeps_when_nothing_comes(core):
    card, queue, _, polling, ebb = start(core, 0)
    assert polling.state(queue) == "polling"
    core.settle()
    assert polling.state(queue) == "interrupt"
    assert core.events.idle_time() == -1, "the loop may sleep for ever"
    assert polling.counters()["to_arming"] == polling.counters()["to_interrupt"] == 1
    assert card.enabled
    core.namespace.destroy(ebb)


def test_an_interrupt_starts_polling(core):
    card, queue, port, polling, ebb = start(core, 0)
    core.settle()
    card.arrive()
    core.events.turn()
    assert polling.state(queue) == "polling"
    assert len(port.received) == 1
    core.settle()
    assert polling.state(queue) == "interrupt"
    counters = polling.counters()
    assert (counters["interrupts"], counters["to_polling"], counters["frames"]) == (1, 1, 1)
    core.namespace.destroy(ebb)


def test_a_frame_in_the_arming_window_is_not_lost(core):
    card, queue, port, polling, ebb = start(core, 0)
    card.while_arming = [FRAME, FRAME]
    core.settle()
    assert len(port.received) == 2
    assert polling.state(queue) == "interrupt"
    counters = polling.counters()
    assert (counters["rearmed"], counters["to_arming"], counters["to_interrupt"]) == (2, 3, 1)
    assert counters["interrupts"] == 0
    core.namespace.destroy(ebb)


def test_an_idle_spin_ends_after_its_time(core):
    card, queue, port, polling, ebb = start(core, 50_000)
    card.arrive()
    core.events.turn()
    assert len(port.received) == 1
    for _ in range(49):
        core.clock.advance(1000)
        core.events.turn()
        assert polling.state(queue) == "polling"
    assert polling.counters()["spins"] == 1
    core.clock.advance(1000)
    core.events.turn()
    assert polling.state(queue) == "interrupt"
    assert card.enables == 1
    core.namespace.destroy(ebb)


def test_no_spin_is_begun_where_frames_are_rare(core):
    card, queue, port, polling, ebb = start(core, 50_000)
    for _ in range(40):
        core.clock.advance(10_000_000)
        card.arrive()
        core.events.turn()
        core.clock.advance(1)
        core.events.turn()
    assert len(port.received) == 40
    assert polling.state(queue) == "interrupt"
    spun = polling.counters()["spins"]
    assert spun <= 3, "the first gaps are not known yet"
    # A burst is recognised: afterwards the loop waits for frames again.
    for _ in range(40):
        core.clock.advance(2_000)
        card.arrive()
        core.events.turn()
    core.clock.advance(2_000)
    core.events.turn()
    assert polling.state(queue) == "polling"
    assert polling.counters()["spins"] == spun + 1
    core.namespace.destroy(ebb)


@pytest.mark.parametrize(("gap", "state"), [(8_000, "polling"), (12_000, "interrupt")])
def test_a_spin_that_costs_more_than_sleeping_is_not_begun(core, gap, state):
    card, queue, port, polling, ebb = start(core, 50_000)
    for _ in range(40):
        card.arrive()
        core.events.turn()
        core.clock.advance(1_000)
        core.events.turn()
        core.clock.advance(gap - 1_000)
    card.arrive()
    core.events.turn()
    core.clock.advance(1_000)
    core.events.turn()
    assert polling.state(queue) == state
    assert len(port.received) == 41
    core.namespace.destroy(ebb)


def test_an_interrupt_that_comes_late_does_no_harm(core):
    card, queue, port, polling, ebb = start(core, 50_000)
    card.arrive()
    core.interrupts.raise_interrupt(card)
    core.events.turn()
    assert polling.state(queue) == "polling"
    assert polling.counters()["to_polling"] == 0
    assert len(port.received) == 1
    core.namespace.destroy(ebb)


def test_more_frames_than_a_budget_are_taken_in_several_turns(core):
    card, _, port, _, ebb = start(core, 0)
    for _ in range(1000):
        card.arrive()
    core.settle()
    assert len(port.received) == 1000
    core.namespace.destroy(ebb)


def test_detach_ends_polling_and_interrupts(core):
    card, queue, _, polling, ebb = start(core, 0)
    polling.detach(queue)
    assert polling.state(queue) == "stopped"
    card.arrive()
    core.interrupts.raise_interrupt(card)
    assert core.events.turn() is False
    assert len(card.waiting) == 1
    with pytest.raises(ValueError):
        polling.detach(queue)
    core.namespace.destroy(ebb)


def test_destroying_the_ebb_in_either_state_leaves_nothing_started(core):
    _, _, _, _, ebb = start(core, 0)
    core.namespace.destroy(ebb)
    assert core.events.idle_time() == -1
    _, _, _, _, ebb = start(core, 0)
    core.settle()
    core.namespace.destroy(ebb)
    assert core.events.idle_time() == -1


def test_frames_on_a_memory_wire_interrupt_a_sleeping_end(core):
    wire = MemoryWire()
    core.attach(wire.a)
    core.attach(wire.b)
    port_a, port_b = RawPort(wire.a.queue), RawPort(wire.b.queue)
    core.settle()
    for _ in range(25):
        core.events.spawn(lambda: port_a.send(FRAME))
        core.settle()
    assert len(port_b.received) == wire.b.counters()["interrupts"] == 25
    wire.close()
