"""memcached behind the driver and the device model; and how often a device notifies and interrupts."""

import random

import pytest

from netapp.drivers.polling import AdaptivePolling
from netapp.drivers.virtio.net import VirtioNet
from netapp.node.simulation import MILLISECOND, Simulation
from tests.support.appliances import CLIENT, SERVER, Client, appliance
from tests.virtio.machine import frame, machine
from tests.virtio.model.faults import Faults
from tests.virtio.model.machine import simulated


@pytest.mark.parametrize(
    "offered, kind",
    [
        ("qemu", "pci"),
        ("qemu-packed", "pci"),
        ("firecracker", "mmio"),
        ("firecracker-mrg", "mmio"),
        ("least", "pci-line"),
    ],
)
def test_memcached_answers(offered, kind):
    """Small values and some that take many segments, pipelined; then the device is reset, and it goes on."""
    chance = random.Random(1)
    values = {b"key%d" % i: chance.randbytes(chance.choice((1, 100, 1000, 40_000, 300_000))) for i in range(12)}
    with Simulation() as simulation, simulated(simulation, offered, kind) as (model, end):
        card = VirtioNet(model.transport(), model.controller, model.platform.interrupts)
        node = simulation.node(card, appliance("memcached", "compiled")(), f"{SERVER}/24", platform=model.platform)
        client = simulation.node(end, None, f"{CLIENT}/24")
        made = Client()
        with client.core:
            client.tcp.connect(SERVER, 11211, lambda: made)
        simulation.run_until(lambda: made.is_connected)

        def ask(request, length):
            before = len(made.received)
            with client.core:
                made.send(request)
            simulation.run_until(lambda: made.ended or len(made.received) - before >= length)
            return made.received[before:]

        for key, value in values.items():
            request = b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value)
            assert ask(request, 8) == b"STORED\r\n"
        replies = b"".join(b"VALUE %s 0 %d\r\n%s\r\n" % (key, len(value), value) for key, value in values.items())
        assert ask(b"get " + b" ".join(values) + b"\r\n", len(replies) + 5) == replies + b"END\r\n"
        model.device.needs_reset()
        simulation.advance(100 * MILLISECOND)
        assert card.resets == 1
        assert ask(b"get " + b" ".join(values) + b"\r\n", len(replies) + 5) == replies + b"END\r\n"
        assert card.counters()["violations"] == 0
        simulation.settle()
        model.verify()
        node.close()


@pytest.mark.parametrize("how", ["pci", "mmio"])
@pytest.mark.parametrize("offered", ["mac", "qemu", "qemu-packed", "firecracker-mrg"])
def test_no_wake_up_is_lost(offered, how):
    """Frames at random times, bursts and pauses, interrupts late and for nothing: all are handed up before the loop
    would sleep on, and while it polls the device has no reason to interrupt."""
    faults = Faults(5, rates={"interrupt-spurious": 0.02, "interrupt-late": 0.2}, late=3_000)
    chance = random.Random(3)
    with machine(offered, how, faults=faults) as m:
        queue = m.net.queues[0]
        m.pc.polling.attach(queue)
        m.pc.settle()
        polling: AdaptivePolling = m.pc.polling
        sent = 0
        for _ in range(600):
            for _ in range(chance.choice((0, 1, 1, 1, 5, 40))):
                m.link.arrive(frame(60, sent))
                sent += 1
            # Device and loop take turns in any order, and the loop may sleep in between.
            for _ in range(chance.randint(1, 3)):
                if chance.random() < 0.5:
                    m.model.turn()
                if chance.random() < 0.5:
                    m.pc.events.turn()
            m.pc.clock.advance(chance.randint(0, 2_000))
        for _ in range(10):
            m.pc.clock.advance(10_000)
            m.turn()
            m.pc.settle()
        assert len(m.port.received) == sent
        assert [data for data, _ in m.port.received] == [frame(60, i) for i in range(sent)]
        m.port.received.clear()
        assert polling.state(queue) == "interrupt"
        assert m.count["violations"] == 0
        raised = [source.raised for source in (*m.controller.messages.values(), *m.controller.lines.values())]
        faults.rates.clear()
        # At idle there are none, and nothing is polled.
        polls = polling.counters()["polls"]
        m.pc.advance(1_000_000_000)
        m.turn()
        assert raised == [source.raised for source in (*m.controller.messages.values(), *m.controller.lines.values())]
        assert polling.counters()["polls"] == polls
        polling.detach(queue)


@pytest.mark.system  # slow with all checks
@pytest.mark.parametrize("offered", ["qemu", "qemu-packed"])
def test_at_full_load_the_device_does_not_interrupt(offered):
    """Of more frames than event indices go up to (2.7.7.1)."""
    with machine(offered) as m:
        queue = m.device.queues[0]
        before = queue.interrupts
        for _ in range(1_100):
            for _ in range(64):
                m.link.arrive(b"x" * 60)
            m.model.turn()
            while m.port.poll():
                pass
            m.port.flush()
        m.turn()
        m.port.received.clear()
        assert queue.interrupts == before
        assert m.count["rx_frames"] > 65_536
