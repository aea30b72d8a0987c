"""Devices that break the rules, ask for a reset, or are slow: the driver trusts none of what they write."""

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netapp.drivers.virtio.transport import FAILED
from tests.virtio.machine import TRANSPORTS, all_memory, chain, frame, machine
from tests.virtio.model.faults import Faults
from tests.virtio.model.frames import Header

RECEIVED = (
    "used-index-jump",
    "used-unknown-id",
    "used-huge-id",
    "used-too-long",
    "used-zero-length",
    "used-short",
    "num-buffers-zero",
    "num-buffers-more",
    "num-buffers-huge",
)
RINGS = ("", "RING_PACKED", "IN_ORDER", "RING_PACKED IN_ORDER EVENT_IDX INDIRECT_DESC")


def serves(m):
    """Frames go both ways."""
    assert m.receive(frame(100), frame(1500)) == [frame(100), frame(1500)]
    assert m.send(frame(60)) and m.send(chain(b"a" * 60, b"b" * 60))
    assert [data for data, _ in m.sent()] == [frame(60), b"a" * 60 + b"b" * 60]


@pytest.mark.parametrize(
    "ring, unflagged", [*((ring, False) for ring in RINGS), *((ring, True) for ring in RINGS if "PACKED" in ring)]
)
@pytest.mark.parametrize("kind", RECEIVED)
def test_a_device_that_breaks_the_rules_is_reset_and_used_again(kind, ring, unflagged, caplog):
    with machine(f"VERSION_1 MRG_RXBUF GUEST_CSUM STATUS {ring}", faults=Faults(unflagged=unflagged)) as m:
        serves(m)
        resets = m.device.resets
        m.faults.next(kind)
        m.link.arrive(frame(100))
        m.turn()
        m.port.receive()
        m.port.flush()
        assert m.count["violations"] == 1
        assert m.device.resets > resets
        assert m.net.resets == 1
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert "breaks the rules: it" in record.getMessage() or "breaks the rules: of" in record.getMessage()
        serves(m)


@pytest.mark.parametrize("ring", RINGS)
@pytest.mark.parametrize("kind", ["used-index-jump", "used-unknown-id", "used-huge-id"])
def test_so_is_one_that_gives_back_what_was_not_sent(kind, ring):
    with machine(f"VERSION_1 {ring}") as m:
        for number in range(5):
            assert m.send(chain(bytes([number]) * 40, bytes(40)))
        m.faults.next(kind)
        m.turn()
        m.port.poll()
        m.port.flush()
        assert m.count["violations"] == 1
        assert m.net.resets == 1
        m.link.sent.clear()
        serves(m)


@pytest.mark.parametrize("how", TRANSPORTS)
@pytest.mark.parametrize("offered", ["qemu", "qemu-packed", "qemu-no-mrg"])
def test_frames_that_are_under_way_in_a_reset_are_lost_and_their_memory_is_not(offered, how):
    with machine(offered, how) as m:
        m.link.full = True
        for number in range(50):
            assert m.send(frame(60, number))
        for number in range(20):
            m.link.arrive(frame(60, number))
        m.turn()
        m.faults.next("used-unknown-id")
        m.link.arrive(frame(60))
        m.turn()
        m.port.receive()
        m.port.flush()
        assert m.net.resets == 1
        m.link.full = False
        m.link.sent.clear()
        serves(m)


@pytest.mark.parametrize("how", TRANSPORTS)
@pytest.mark.parametrize("offered", ["qemu", "qemu-packed", "qemu-no-mrg"])
def test_a_device_that_asks_for_a_reset_gets_it(offered, how, caplog):
    """2.1.2, under load, whether the loop polls or sleeps."""
    with machine(offered, how) as m:
        m.pc.polling.attach(m.net.queues[0])
        m.pc.settle()
        for _ in range(3):
            m.link.arrive(frame(70))
            m.faults.next("needs-reset")
            m.turn()
            m.pc.settle()
            m.turn()
            m.pc.settle()
        assert m.net.resets == 3
        assert "asks for a reset" in caplog.text
        m.port.received.clear()
        m.link.arrive(frame(80))
        m.turn()
        m.pc.settle()
        assert [data for data, _ in m.port.received][-1] == frame(80)
        m.port.received.clear()
        m.pc.polling.detach(m.net.queues[0])


@pytest.mark.parametrize("offered", ["qemu", "qemu-packed"])
def test_a_device_that_needs_too_many_resets_stays_off(offered, caplog):
    with machine(offered) as m:
        for number in range(9):
            m.faults.next("used-unknown-id")
            m.link.arrive(frame(60))
            m.turn()
            m.port.receive()
            m.port.flush()
            assert m.net.works == (number < 8)
        assert m.device.status == FAILED
        assert "given up" in caplog.text
        assert m.send(frame(60))
        assert m.count["tx_link_down"] == 1
        assert m.port.poll() == 0
        assert not m.port.enable_interrupts()
        assert m.pc.pool.pinned()["device"] == 0


@pytest.mark.parametrize("offered", ["qemu", "qemu-packed", "qemu-no-mrg"])
def test_a_reset_without_memory_is_waited_for_asleep(offered, caplog):
    """What the queue gave back somebody else has taken: the loop sleeps, and frames come when there are slots again."""
    with machine(offered, pool=8 << 20) as m:
        m.pc.polling.attach(m.net.queues[0])
        m.pc.settle()
        early, late = chain(b"e" * 60), chain(b"l" * 60)
        hoard = all_memory()
        m.faults.next("needs-reset")
        m.turn()
        take = m.transport.set_driver_features

        def between(features: int) -> None:
            hoard.extend(all_memory())
            take(features)

        m.transport.set_driver_features = between  # type: ignore[method-assign]
        m.pc.settle()
        assert m.net.works and m.net.resets == 1
        m.device.interrupt(m.device.queues[0])  # so that it is polled, and armed again
        m.pc.advance(1_000_000_000)
        assert [record.getMessage() for record in caplog.records if "no memory" in record.getMessage()] == [
            f"{m.net.name}: no memory for receive buffers: nothing is received until there is"
        ]
        assert m.send(early)
        assert [data for data, _ in m.sent()] == [b"e" * 60]
        hoard.clear()
        m.pc.advance(20_000_000)
        m.link.arrive(frame(80))
        m.turn()
        m.pc.settle()
        assert [data for data, _ in m.port.received] == [frame(80)]
        assert m.send(late)
        assert [data for data, _ in m.sent()] == [b"l" * 60]
        del early, late
        m.port.received.clear()
        m.pc.polling.detach(m.net.queues[0])


def test_resets_that_are_rare_are_not_too_many():
    with machine("qemu") as m:
        for _ in range(30):
            m.faults.next("used-unknown-id")
            m.link.arrive(frame(60))
            m.turn()
            m.port.receive()
            m.port.flush()
            m.pc.advance(10_000_000_000)
        assert m.net.works
        serves(m)


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda device: setattr(device, "offered", device.offered & ~1), "offers less"),
        (lambda device: device.set_field("mac", bytes(6)), "another one"),
    ],
)
def test_a_device_that_is_another_one_after_its_reset_is_given_up(change, said, caplog):
    with machine("qemu") as m:
        change(m.device)
        m.faults.next("used-unknown-id")
        m.link.arrive(frame(60))
        m.turn()
        m.port.receive()
        m.port.flush()
        assert not m.net.works
        assert said in caplog.text


@pytest.mark.parametrize("ring", RINGS)
@settings(max_examples=20)
@given(seed=st.integers(0, 1 << 32))
def test_whatever_a_device_does_nothing_is_read_or_written_out_of_bounds(ring, seed):
    """All faults, at random: nothing raises, and all memory comes back. The debug build looks at every access."""
    kinds: tuple[str, ...] = (
        *RECEIVED,
        "used-twice",
        "used-index-back",
        "header-garbage",
        "header-only",
        "gso-unknown",
        "gso-header-long",
    )
    kinds += ("checksum-outside", "gso-not-negotiated", "needs-reset", "interrupt-spurious", "stall")
    faults = Faults(seed, rates=dict.fromkeys(kinds, 0.01), shuffled="IN_ORDER" not in ring)
    logging.disable()
    try:
        with machine(f"VERSION_1 MRG_RXBUF GUEST_CSUM GUEST_TSO4 CSUM {ring}", faults=faults, queue_size=64) as m:
            # A device that gives a buffer back twice does not know what it still has.
            m.device.rules.verify = lambda: None  # type: ignore[method-assign]
            m.pc.polling.attach(m.net.queues[0])
            for number in range(60):
                m.link.arrive(frame(60 + number * 40, number), Header(2))
                m.send(chain(bytes(40), bytes(40)) if number % 2 else frame(60))
                m.model.turn()
                m.pc.settle()
                m.pc.clock.advance(1_000_000_000)
            m.port.received.clear()
            m.faults.rates.clear()
            m.pc.polling.detach(m.net.queues[0])
    finally:
        logging.disable(logging.NOTSET)


def test_a_frame_that_closes_the_device_is_the_last():
    with machine("qemu") as m:
        for number in range(5):
            m.link.arrive(frame(60, number))
        m.turn()
        m.device.close()
        m.net.close()
        assert m.port.poll() == 0
        m.net.close()
