"""Frames both ways through the driver, for combinations of features, pairwise, and for what known devices offer."""

import random
from itertools import combinations, product

import pytest

from tests.virtio.machine import TRANSPORTS, all_memory, chain, frame, machine
from tests.virtio.model.faults import Faults
from tests.virtio.model.features import SETS
from tests.virtio.model.frames import Header

# What changes the way of a frame; the others are in SETS.
FEATURES = (
    "RING_PACKED",
    "EVENT_IDX",
    "INDIRECT_DESC",
    "IN_ORDER",
    "MRG_RXBUF",
    "GUEST_CSUM GUEST_TSO4 GUEST_USO4",
    "CSUM HOST_TSO4 HOST_USO",
    "MTU",
)


# Ethernet, IPv4 and TCP before 3,000 bytes of text; the checksum is the pseudo-header's.
IP = bytes.fromhex("45000be0000040004006") + bytes(10)
TCP = frame(12) + b"\x08\x00" + IP + bytes(12) + b"\x50\x10" + bytes(2) + b"\x0b\xd2" + bytes(2)


def pairwise(choices: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Rows in which any two columns take every pair of their values; greedy, the same every time."""
    chooser = random.Random(1)
    missing = {
        (i, a, j, b) for i, j in combinations(range(len(choices)), 2) for a, b in product(choices[i], choices[j])
    }
    rows = []
    while missing:
        i, a, j, b = min(missing, key=repr)
        best: tuple[object, ...] = ()
        covered = -1
        for _ in range(40):
            row = [chooser.choice(column) for column in choices]
            row[i], row[j] = a, b
            gain = sum((k, row[k], m, row[m]) in missing for k, m in combinations(range(len(row)), 2))
            if gain > covered:
                best, covered = tuple(row), gain
        rows.append(best)
        missing -= {(k, best[k], m, best[m]) for k, m in combinations(range(len(best)), 2)}
    return rows


ROWS = [
    (" ".join(str(part) for part in row[:-2] if part) + " VERSION_1 MAC STATUS", str(row[-2]), row[-1])
    for row in pairwise([*[("", feature) for feature in FEATURES], TRANSPORTS, (64, 256)])
]


def exchange(m, rounds, mtu=1500, seed=1):
    """Random frames, in random numbers and pieces; every one arrives as it was, in its order."""
    chance = random.Random(seed)
    for _ in range(rounds):
        down = [chance.randbytes(chance.choice((60, 100, 1400, mtu + 14))) for _ in range(chance.randint(0, 40))]
        assert m.receive(*down) == down
        up = []
        for _ in range(chance.randint(0, 20)):
            pieces = [chance.randbytes(chance.randint(15, 60)) for _ in range(chance.choice((1, 1, 2, 3, 7, 24)))]
            made = chain(*pieces, copied=chance.random() < 0.5)
            if not m.send(made):
                made.clear()
                break
            up.append(b"".join(pieces))
        assert [data for data, _ in m.sent()] == up
    assert m.count["violations"] == m.count["rx_malformed"] == m.count["rx_no_slots"] == 0


@pytest.mark.parametrize("offered, how, size", ROWS)
def test_any_two_features_go_together(offered, how, size):
    with machine(offered, how, queue_size=size) as m:
        exchange(m, 12)


@pytest.mark.parametrize("how", TRANSPORTS)
@pytest.mark.parametrize("name", SETS)
def test_what_known_devices_offer(name, how):
    with machine(name, how) as m:
        exchange(m, 6)


@pytest.mark.parametrize("ring", ["", "RING_PACKED", "INDIRECT_DESC", "RING_PACKED INDIRECT_DESC"])
def test_a_device_that_takes_its_time_and_another_order_does_no_harm(ring):
    """Bursts in pieces, given back in any order, over many rounds of the ring."""
    with machine(f"VERSION_1 EVENT_IDX {ring}", faults=Faults(3, shuffled=True, slow=(0, 3))) as m:
        chance = random.Random(2)
        down, up, got, sent = [], [], [], []
        for _ in range(60):
            for _ in range(chance.randint(0, 30)):
                down.append(chance.randbytes(chance.randint(60, 1514)))
                m.link.arrive(down[-1])
            for _ in range(chance.randint(0, 30)):
                pieces = [chance.randbytes(30) for _ in range(chance.randint(1, 4))]
                if m.send(chain(*pieces)):
                    up.append(b"".join(pieces))
            m.pc.clock.advance(1_000_000)
            sent += [data for data, _ in m.sent()]
            got += m.receive()
        for _ in range(20):
            m.pc.clock.advance(1_000_000)
            sent += [data for data, _ in m.sent()]
            got += m.receive()
        assert sorted(got) == sorted(down)
        assert sent == up
        assert len(up) > 500
        assert m.count["violations"] == 0


# --- receiving


@pytest.mark.parametrize("packed", ["", "RING_PACKED"])
@pytest.mark.parametrize("offered", ["MRG_RXBUF", "INDIRECT_DESC", "MRG_RXBUF IN_ORDER", "INDIRECT_DESC IN_ORDER"])
def test_large_frames_come_whole(offered, packed):
    """Scattered over slots, the headers in the first one, with room before them."""
    with machine(f"VERSION_1 GUEST_CSUM GUEST_TSO4 EVENT_IDX {offered} {packed}") as m:
        for length in (1920, 1921, 1932, 1933, 3852, 3853, 30_000, 65_549):
            data = TCP + bytes(i * 7 & 0xFF for i in range(length - len(TCP)))
            header = Header(1, 1, 54, 1448, 34, 16)
            m.link.arrive(data, header)
            m.turn()
            m.port.poll()
            assert m.port.received == [(data, header[:6])]
            m.port.received.clear()
            m.port.flush()
        exchange(m, 3)


def test_without_merged_or_indirect_buffers_nothing_large_is_asked_for():
    with machine("VERSION_1 GUEST_CSUM GUEST_TSO4 GUEST_USO4 MTU", mtu=9000) as m:
        assert m.device.has("GUEST_CSUM")
        assert not any(m.device.has(name) for name in ("GUEST_TSO4", "GUEST_USO4", "MTU"))
        assert m.net.mtu == 1500
        assert m.net.features == 16


def test_small_queues_take_no_frames_of_64_kib():
    with machine("qemu", queue_size=32) as m:
        assert not m.device.has("GUEST_TSO4") and m.device.has("MRG_RXBUF")
        assert m.device.resets == 3  # before, first try, and once more
        exchange(m, 3)


@pytest.mark.parametrize("offered", ["MRG_RXBUF", "INDIRECT_DESC"])
def test_jumbo_frames(offered):
    with machine(f"VERSION_1 MTU {offered}", mtu=9000) as m:
        assert m.net.mtu == 9000
        exchange(m, 5, mtu=9000)


@pytest.mark.parametrize("offered", ["qemu", "qemu-packed", "qemu-no-mrg", "least"])
def test_without_memory_frames_are_dropped_and_the_queue_stays_full(offered):
    # With buffers of 65,562 bytes it takes more.
    with machine(offered, pool=(8 if offered == "qemu-no-mrg" else 3) << 20) as m:
        hoard = all_memory()
        frames = [frame(1500, i) for i in range(200)]
        assert m.receive(*frames) == []
        assert m.count["rx_no_slots"] == 200
        large = Header(1, 1, 54, 1448, 34, 16)
        if m.device.has("GUEST_TSO4"):
            assert m.receive(frame(40_000), header=large) == []
            assert m.count["rx_no_slots"] == 201
        hoard.clear()
        assert m.receive(*frames) == frames
        assert m.device.waiting == 0


@pytest.mark.parametrize("bad", ["gso-unknown", "gso-size-zero", "checksum-outside", "gso-not-negotiated"])
@pytest.mark.parametrize("offered", ["qemu", "mac", "qemu-packed"])
def test_offload_fields_that_do_not_fit_cost_the_frame(bad, offered):
    with machine(offered) as m:
        m.faults.next(bad)
        got = m.receive(frame(100), frame(100, 1))
        assert got[-1] == frame(100, 1)
        if not (bad == "gso-not-negotiated" and offered != "mac"):  # that is what was negotiated
            assert got == [frame(100, 1)]
            assert m.count["rx_malformed"] == 1
        assert m.count["violations"] == 0


def test_what_the_device_vouches_for_is_told():
    with machine("VERSION_1 GUEST_CSUM") as m:
        for flags in (0, 2):
            m.link.arrive(frame(100), Header(flags=flags))
        m.turn()
        m.port.poll()
        assert [offload.flags for _, offload in m.port.received] == [0, 2]
        m.port.received.clear()


# --- transmitting


@pytest.mark.parametrize("packed", ["", "RING_PACKED"])
@pytest.mark.parametrize("indirect", ["", "INDIRECT_DESC"])
def test_pieces_are_sent_where_they_lie(packed, indirect):
    """Header and first view in one descriptor where that slot has room for it; nothing is copied."""
    with machine(f"VERSION_1 CSUM {packed} {indirect}") as m:
        seen = []
        gather = m.device._gather

        def look(ring, buffer):
            seen.append(list(buffer.readable))
            return gather(ring, buffer)

        m.device._gather = look  # type: ignore[method-assign]
        before = m.pc.pool.copied()
        held = b"x" * 100
        assert m.send(chain(held))
        [(data, _)] = m.sent()
        assert data == held
        assert [length for _, length in seen.pop()] == [12, 100]  # those bytes are nobody's to write before
        # A frame that came goes back in one piece: there is room before it.
        m.receive(frame(200))
        assert m.send(frame(200))
        m.sent()
        assert [length for _, length in seen.pop()] == [212]
        assert m.send(chain(*[bytes([i]) * 20 for i in range(30)]))
        m.sent()
        assert [length for _, length in seen.pop()] == [12] + [20] * 30
        assert m.pc.pool.copied()["device"] == before["device"]


def test_more_pieces_than_descriptors_are_copied_together():
    with machine("VERSION_1", queue_size=16) as m:
        pieces = [bytes([i]) * 20 for i in range(40)]
        assert m.send(chain(*pieces))
        assert [data for data, _ in m.sent()] == [b"".join(pieces)]
        assert m.count["tx_flattened"] == 1
        assert m.pc.pool.copied()["device"] == 800


@pytest.mark.parametrize("how", TRANSPORTS)
@pytest.mark.parametrize("packed", ["", "RING_PACKED"])
def test_a_full_ring_refuses_and_says_when_there_is_room(packed, how):
    with machine(f"VERSION_1 EVENT_IDX {packed}", how, queue_size=16) as m:
        m.link.full = True
        taken = 0
        while m.send(frame(60, taken)):
            taken += 1
            assert taken <= 16
        assert taken == 16
        refused = chain(b"y" * 60)
        assert not m.send(refused)
        assert refused.tobytes() == b"y" * 60  # unchanged
        assert m.count["tx_full"] == 2
        assert not m.port.enable_interrupts()
        raised = sum(source.raised for source in sources(m))
        m.link.full = False
        m.turn()
        assert sum(source.raised for source in sources(m)) > raised
        m.port.poll()
        assert m.send(refused)
        del refused
        assert len(m.sent()) == taken + 1


def sources(m):
    return [*m.controller.messages.values(), *m.controller.lines.values()]


def test_one_notification_a_turn_and_none_that_is_not_wanted():
    with machine("qemu") as m:
        queue = m.device.queues[1]
        before = queue.notifications
        for _ in range(10):
            # The port flushes each time, but the device is at work from the first one on.
            assert m.send(frame(60))
        assert queue.notifications - before == 1
        assert len(m.sent()) == 10
        assert queue.superfluous == 0


def test_checksum_and_segmentation_are_asked_for():
    with machine("VERSION_1 CSUM HOST_TSO4 HOST_USO GUEST_HDRLEN", check_checksums=False) as m:
        assert m.net.features == 7
        m.send(TCP + bytes(3000), offload=(1, 1, 54, 1460, 34, 16))
        assert m.sent() == [(TCP + bytes(3000), Header(1, 1, 54, 1460, 34, 16, 0))]


@pytest.mark.parametrize("how", TRANSPORTS)
@pytest.mark.parametrize("offered", ["qemu", "qemu-packed"])
def test_while_the_link_is_down_frames_are_dropped_and_counted(offered, how):
    with machine(offered, how) as m:
        m.pc.polling.attach(m.net.queues[0])
        m.pc.settle()
        assert m.net.link_up
        m.device.set_link(False)
        m.pc.settle()
        assert not m.net.link_up
        assert m.send(frame(60))
        assert m.count["tx_link_down"] == 1
        assert m.sent() == []
        m.device.set_link(True)
        m.pc.settle()
        assert m.net.link_up
        assert m.send(frame(60))
        assert len(m.sent()) == 1
        m.pc.polling.detach(m.net.queues[0])
