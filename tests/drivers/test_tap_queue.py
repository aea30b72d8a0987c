"""The tap's queue: its pool exhausted, its ring full, its link gone, and no frame slept through."""

import contextlib
import fcntl
import os
import select
import socket
import struct
import subprocess
import threading
import time
from contextlib import ExitStack
from random import Random

import pytest
from scapy.layers.l2 import ARP, Ether

from netapp.drivers.polling import AdaptivePolling
from netapp.drivers.tap_queue import TapError
from netapp.ebb.core import EbbRef
from netapp.event.manager import OUTPUT, EndOfTurnFunction
from netapp.hosted.platform import EpollInterrupts, MonotonicClock
from netapp.iobuf.chain import Chain
from tests.support.namespaces import ip, network_namespace
from tests.support.pools import core_with_pool
from tests.support.taps import is_tap, peer

pytestmark = pytest.mark.system


def test_an_exhausted_pool_drops_frames_and_counts(io):
    with network_namespace(), core_with_pool(size=64 * 4096, reserve=0), peer(io=io) as host:
        hoard: list[Chain] = []
        with pytest.raises(MemoryError):
            while True:
                hoard.append(Chain())
                hoard[-1].write(bytes(2048))
        frame = bytes.fromhex((host.ours + host.hosts).replace(":", "")) + b"\x88\xb5" + bytes(100)
        for _ in range(5):
            host.raw.send(frame)
        until = time.monotonic() + 20
        while host.tap.counters()["rx_no_slots"] < 5 and time.monotonic() < until:
            host.port.poll()
        assert host.tap.counters()["rx_no_slots"] >= 5
        hoard.clear()
        host.raw.send(frame)
        assert next(host.received(lambda frame: frame.type == 0x88B5))[1] == frame


def test_slots_that_only_make_reading_cheaper_give_way():
    """Several frames are read at once, into slots of their own: a part of the pool, which is not kept from others."""
    size = 32 << 20
    with network_namespace(), core_with_pool(size=size, reserve=0) as core, peer(io="uring") as host:
        frame = bytes.fromhex((host.ours + host.hosts).replace(":", "")) + b"\x88\xb5" + bytes(100)
        for _ in range(300):
            host.raw.send(frame)
        assert len(host.port.receive()) >= 300
        batches = host.tap.counters()["submits"]
        assert 30 < batches < 100
        pinned = core.pool.pinned()["device"]
        assert 5 * 16 * 4096 < pinned <= size // 64
        hoard: list[Chain] = []

        def exhaust() -> None:
            for length in (2048, 100):
                with contextlib.suppress(MemoryError):
                    while True:
                        hoard.append(Chain())
                        hoard[-1].write(bytes(length))

        exhaust()
        for _ in range(6):
            host.raw.send(frame)
            assert host.port.poll(1) == 1 and host.port.received.pop()[0] == frame
            exhaust()
        assert host.tap.counters()["rx_no_slots"] == 0
        assert core.pool.pinned()["device"] < pinned // 2
        hoard.clear()


def test_no_frame_is_slept_through(io):
    """Whenever it comes: while the loop polls, arms, goes to sleep; alone or with others, before or behind a reply."""
    interrupts = EpollInterrupts()
    random = Random(1)
    failures = []
    with (
        network_namespace(),
        core_with_pool(clock=MonotonicClock(), interrupts=interrupts) as core,
        peer(io=io) as host,
    ):
        frame = bytes.fromhex((host.ours + host.hosts).replace(":", "")) + b"\x88\xb5" + bytes(100)
        ebb = core.namespace.create(lambda core_, ebb_id: AdaptivePolling(interrupts))
        EbbRef(ebb)().attach(host.tap.queue)
        arrived = 0

        def answer() -> None:
            nonlocal arrived
            while host.port.received:
                arrived += host.port.received.pop()[0][12:14] == b"\x88\xb5"
                host.port.send(bytes(60))

        def feed() -> None:
            sent = 0
            try:
                for _ in range(600):
                    for _ in range(random.choice((1, 1, 1, 2, 3, 6, 12))):
                        host.raw.send(frame)
                        sent += 1
                    until = time.monotonic() + 20
                    while arrived < sent:
                        if time.monotonic() > until:
                            failures.append(f"{arrived} of {sent} frames")
                            return
                        time.sleep(0)
                    time.sleep(random.choice((0, 1e-6, 50e-6, 200e-6)))
            finally:
                events.stop()

        events = core.events
        hook = EndOfTurnFunction(answer)
        events.at_end_of_turn(hook, OUTPUT)
        thread = threading.Thread(target=feed)
        thread.start()
        events.run()
        thread.join()
        assert not failures
        assert events.counters()["sleeps"] > 100
        assert (host.tap.counters().get("submits", 0) > 0) == (io == "uring")
        events.remove_end_of_turn(hook)
        core.namespace.destroy(ebb)
    interrupts.close()


def test_frames_that_the_kernel_has_no_room_for_wait_and_keep_their_order(core, io):
    """Behind a slow link the tap's send buffer, which is bounded here, is full."""
    with peer(io=io) as host, ExitStack() as stack:
        for command in (
            "link add slow type veth peer name far",
            "link add bridge type bridge",
            "link set slow master bridge",
            "link set tap-test master bridge",
            "link set slow up",
            "link set far up",
            "link set bridge up",
        ):
            ip(command)
        subprocess.run("tc qdisc add dev slow root tbf rate 1mbit burst 1540 limit 1000000".split(), check=True)
        (device_file,) = (int(name) for name in os.listdir("/proc/self/fd") if is_tap(name))
        fcntl.ioctl(device_file, 0x400454D4, struct.pack("i", 4000))  # TUNSETSNDBUF
        raw = stack.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)))
        raw.bind(("far", 0))
        raw.settimeout(20)
        head = b"\x02far.." + host.tap.mac + b"\x88\xb5"
        frames = [head + bytes([i]) * 1000 for i in range(20)]
        host.port.enable_interrupts()
        taken = refused = waited = 0

        def look() -> None:
            """What waits goes in a later turn, though nobody polls."""
            nonlocal waited
            waits = host.tap.counters()["tx_frames"] < taken
            assert core.events.idle_time() == (0 if waits else -1)
            waited += waits
            core.events.turn()

        for frame in frames:
            while not host.port.send(frame):
                refused += 1
                look()
                assert host.port.enable_interrupts() or io == "uring", "room tells nobody: somebody has to look"
            taken += 1
            look()
        until = time.monotonic() + 20
        while host.tap.counters()["tx_frames"] < len(frames):
            assert time.monotonic() < until
            host.port.flush()
        assert bool(waited) == (io == "uring")
        arrived: list[bytes] = []
        while len(arrived) < len(frames):
            frame = raw.recv(65536)
            if frame[12:14] == b"\x88\xb5":
                arrived.append(frame)
        assert arrived == frames
        counters = host.tap.counters()
        assert refused and counters["tx_full"] >= refused and counters["tx_errors"] == 0


def test_frames_that_came_with_what_was_sent_are_waiting_when_interrupts_are_enabled(core):
    with peer(io="uring") as host:
        frame = bytes.fromhex((host.ours + host.hosts).replace(":", "")) + b"\x88\xb5" + bytes(100)
        # Of single frames it would not read one ahead.
        for _ in range(4):
            host.raw.send(frame)
        assert host.port.poll() >= 4
        host.raw.send(frame)
        assert host.port.send(bytes(60))
        assert host.port.enable_interrupts()
        assert frame in host.port.receive()
        assert not host.port.enable_interrupts()


def test_what_comes_while_interrupts_are_enabled_is_left_for_them(core, io):
    """A frame that is fetched before epoll has looked would wake nobody."""
    with peer(io=io) as host:
        host.port.receive()
        assert not host.port.enable_interrupts()
        host.raw.send(bytes.fromhex((host.ours + host.hosts).replace(":", "")) + b"\x88\xb5" + bytes(100))
        assert host.port.send(bytes(60))
        (file,) = (int(name) for name in os.listdir("/proc/self/fd") if is_tap(name))
        assert select.select([file], [], [], 0)[0]


def test_a_link_that_is_down_drops_and_counts(core, io):
    with peer(io=io) as host:
        ip("link set tap-test down")
        assert host.port.send(bytes(60))
        assert host.tap.counters()["tx_link_down"] == 1
        ip("link set tap-test up")
        assert host.port.send(bytes(Ether(src=host.ours, dst=host.hosts) / ARP()))
        assert host.tap.counters()["tx_frames"] == 1


def test_an_interface_that_is_removed(core, io):
    with peer(io=io) as host:
        ip("link del tap-test")
        with pytest.raises(TapError, match="tap-test was removed"):
            host.port.poll()
        assert host.port.poll() == 0, "it is said once"
        assert not host.port.enable_interrupts()
        assert host.port.send(bytes(60))
        assert host.tap.counters()["tx_link_down"] == 1


def test_who_wants_to_know_is_told_that_the_interface_was_removed(core, io):
    with peer(io=io) as host:
        told: list[bool] = []
        host.tap.when_removed = lambda: told.append(host.tap.gone)
        host.port.poll()
        ip("link del tap-test")
        assert host.port.poll() == host.port.poll() == 0
        assert told == [True]
