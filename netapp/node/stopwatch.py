"""The stopwatch, and what reads it on the way of a packet. Every border is one reading, with the old part on its one
side and the new one on the other."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.libc.stdint import uint64_t
from cython.cimports.libc.string import memset
from cython.cimports.netapp.drivers.device import Device
from cython.cimports.netapp.net.udp import UdpManager
from cython.cimports.netapp.net.udp_socket import UdpSocket

NAMES = (
    "device_in",
    "network_in",
    "appliance",
    "network_out",
    "device_out",
    "timers",
    "loop",
    "idle",
    "sleep",
    "outside",
)

_CALIBRATIONS = cython.declare(cython.int, 50)
_READINGS = cython.declare(cython.int, 1000)


class Stopwatch:
    def __init__(self, clock: Clock):
        """`clock`: a real one, also where the node's is virtual."""
        i: cython.int
        start: uint64_t
        spent: uint64_t
        least: uint64_t = cython.cast(uint64_t, -1)
        self.clock = clock
        # The least: what the machine did meanwhile is not the clock's.
        for _ in range(_CALIBRATIONS):
            start = clock.now()
            for i in range(_READINGS):
                self.enter(i % OUTSIDE)
            spent = clock.now() - start
            if spent < least:
                least = spent
        self.cost = cython.cast(cython.double, least) / _READINGS
        self.part = OUTSIDE
        self.restart()

    def enter(self, part):
        now: uint64_t = self.clock.now()
        before: cython.int = self.part
        share: cython.pointer(share_t) = cython.address(self.turn[before])
        # A time stamp counter may be behind on another processor.
        if now > self.last:
            share.time += now - self.last
            self.last = now
        share.intervals += 1
        self.part = part
        return before

    def end_turn(self, found):
        i: cython.int
        to: cython.int
        # Frames that met a full ring go out in turns that find nothing else to do.
        idle: cython.bint = not found and self.frames_out == self.turn_frames_out
        for i in range(PARTS):
            to = IDLE if idle and i < IDLE else i
            self.total[to].time += self.turn[i].time
            self.total[to].intervals += self.turn[i].intervals
        memset(cython.address(self.turn[0]), 0, cython.sizeof(self.turn))
        self.turn_frames_out = self.frames_out
        if idle:
            self.idle_turns += 1
        else:
            self.turns += 1
        return 0

    def restart(self):
        memset(cython.address(self.turn[0]), 0, cython.sizeof(self.turn))
        memset(cython.address(self.total[0]), 0, cython.sizeof(self.total))
        self.turns = self.idle_turns = self.requests = 0
        self.frames_in = self.frames_out = self.turn_frames_out = 0
        self.last = self.began = self.clock.now()

    def shares(self):
        i: cython.int
        found: dict = {}
        self.enter(self.part)
        for i in range(PARTS):
            found[NAMES[i]] = (
                self.total[i].time + self.turn[i].time,
                self.total[i].intervals + self.turn[i].intervals,
            )
        found["all"] = self.last - self.began
        return found


# --- the device --------------------------------------------------------------------------------------------------


class TimedQueue:
    def poll(self, budget):
        before: cython.int = self.watch.enter(DEVICE_IN)
        found: cython.int = self.inner.poll(budget)
        self.watch.enter(before)
        return found

    def receive_frame(self, frame):
        before: cython.int = self.watch.enter(NETWORK_IN)
        self.watch.frames_in += 1
        self.receiver.receive_frame(frame)
        self.watch.enter(before)
        return 0

    def transmit(self, frame):
        before: cython.int = self.watch.enter(DEVICE_OUT)
        taken: cython.bint = self.inner.transmit(frame)
        self.watch.enter(before)
        self.watch.frames_out += taken
        return taken

    def flush(self):
        before: cython.int = self.watch.enter(DEVICE_OUT)
        self.inner.flush()
        self.watch.enter(before)
        return 0

    def enable_interrupts(self):
        before: cython.int = self.watch.enter(DEVICE_IN)
        waiting: cython.bint = self.inner.enable_interrupts()
        self.watch.enter(before)
        return waiting


class TimedDevice:
    def __init__(self, inner: Device, watch: Stopwatch):
        """The last one around a device: what others do (capture, faults) is the device's."""
        queue: TimedQueue
        queues: list = []
        for _ in inner.queues:
            queue = TimedQueue()
            queue.watch = watch
            queues.append(queue)
        self._wrap(inner, queues)


# --- the loop ----------------------------------------------------------------------------------------------------


class TimedEvents:
    def turn(self):
        watch: Stopwatch = self.watch
        before: cython.int = watch.enter(LOOP)
        found: cython.bint = EventManager.turn(self)
        watch.enter(before)
        watch.end_turn(found)
        return found

    def _run(self, collector):
        self.watch.enter(LOOP)
        try:
            return EventManager._run(self, collector)
        finally:
            self.watch.enter(OUTSIDE)

    def _sleep(self, timeout):
        before: cython.int = self.watch.enter(SLEEP)
        EventManager._sleep(self, timeout)
        self.watch.enter(before)
        return 0

    def _messages(self, count):
        before: cython.int = self.watch.enter(APPLIANCE)
        done: cython.int = EventManager._messages(self, count)
        self.watch.enter(before)
        return done

    def _events(self):
        before: cython.int = self.watch.enter(APPLIANCE)
        done: cython.int = EventManager._events(self)
        self.watch.enter(before)
        return done

    def _timers(self):
        before: cython.int = self.watch.enter(TIMERS)
        fired: cython.int = EventManager._timers(self)
        self.watch.enter(before)
        return fired

    def _end_of_turn(self):
        before: cython.int = self.watch.enter(NETWORK_OUT)
        EventManager._end_of_turn(self)
        self.watch.enter(before)
        return 0


def timed_events(watch: Stopwatch, clock, interrupts, handler_limit):
    made: TimedEvents = TimedEvents(clock, interrupts, handler_limit)
    made.watch = watch
    return made


# --- the appliance -----------------------------------------------------------------------------------------------


class TimedTcp:
    def __init__(self, config, entropy, watch: Stopwatch):
        TcpManager.__init__(self, config, entropy)
        self.watch = watch
        self.compiled = HandlerBinding.__new__(HandlerBinding)

    def take_over(self, old):
        TcpManager.take_over(self, old)
        self.config = cython.cast(TcpManager, old).config

    def accept(self, c, listener):
        before: cython.int = self.watch.enter(APPLIANCE)
        made: cython.bint = TcpManager.accept(self, c, listener)
        self.watch.enter(before)
        return made

    def attach(self, c, handler):
        timed: TimedHandler
        TcpManager.attach(self, c, handler)
        timed = TimedHandler.__new__(TimedHandler)
        timed.watch = self.watch
        timed.inner = c.handler
        timed.binding = c.binding
        timed.connection = c
        c.handler = timed
        c.binding = self.compiled
        return 0


class TimedHandler:
    def connected(self):
        before: cython.int = self.watch.enter(APPLIANCE)
        if self.binding.connected is None:
            self.inner.connected()
        else:
            self.binding.connected(self.inner)
        self.watch.enter(before)

    def receive(self, data):
        before: cython.int = self.watch.enter(APPLIANCE)
        self.watch.requests += 1
        if self.binding.receive is None:
            self.inner.receive(data)
        else:
            self.binding.receive(self.inner, data)
        self.watch.enter(before)

    def peer_closed(self):
        before: cython.int = self.watch.enter(APPLIANCE)
        if self.binding.peer_closed is None:
            self.inner.peer_closed()
        else:
            self.binding.peer_closed(self.inner)
        self.watch.enter(before)

    def writable(self):
        before: cython.int = self.watch.enter(APPLIANCE)
        if self.binding.writable is None:
            self.inner.writable()
        else:
            self.binding.writable(self.inner)
        self.watch.enter(before)

    def urgent(self, left):
        before: cython.int = self.watch.enter(APPLIANCE)
        if self.binding.urgent is None:
            self.inner.urgent(left)
        else:
            self.binding.urgent(self.inner, left)
        self.watch.enter(before)

    def delivery_delayed(self):
        before: cython.int = self.watch.enter(APPLIANCE)
        if self.binding.delivery_delayed is None:
            self.inner.delivery_delayed()
        else:
            self.binding.delivery_delayed(self.inner)
        self.watch.enter(before)

    def soft_error(self, error):
        before: cython.int = self.watch.enter(APPLIANCE)
        if self.binding.soft_error is None:
            self.inner.soft_error(error)
        else:
            self.binding.soft_error(self.inner, error)
        self.watch.enter(before)

    def closed(self, error):
        before: cython.int = self.watch.enter(APPLIANCE)
        try:
            if self.binding.closed is None:
                self.inner.closed(error)
            else:
                self.binding.closed(self.inner, error)
        finally:
            self.watch.enter(before)
            self.inner.connection = None
            self.inner = None


def time_sockets(watch: Stopwatch, manager: UdpManager):
    """Those that are bound by now."""
    socket: UdpSocket
    timed: TimedUdpHandler
    for socket in manager.sockets():
        timed = TimedUdpHandler.__new__(TimedUdpHandler)
        timed.watch = watch
        timed.inner = socket.handler
        timed.binding = socket.binding
        timed.socket = socket
        socket.handler = timed
        socket.binding = UdpBinding.__new__(UdpBinding)


class TimedUdpHandler:
    def receive(self, datagram, source):
        before: cython.int = self.watch.enter(APPLIANCE)
        self.watch.requests += 1
        if self.binding.receive is None:
            self.inner.receive(datagram, source)
        else:
            self.binding.receive(self.inner, datagram, source)
        self.watch.enter(before)

    def error(self, error, destination):
        before: cython.int = self.watch.enter(APPLIANCE)
        if self.binding.error is None:
            self.inner.error(error, destination)
        else:
            self.binding.error(self.inner, error, destination)
        self.watch.enter(before)

    def writable(self):
        before: cython.int = self.watch.enter(APPLIANCE)
        if self.binding.writable is None:
            self.inner.writable()
        else:
            self.binding.writable(self.inner)
        self.watch.enter(before)

    def closed(self, error):
        before: cython.int = self.watch.enter(APPLIANCE)
        try:
            if self.binding.closed is None:
                self.inner.closed(error)
            else:
                self.binding.closed(self.inner, error)
        finally:
            self.watch.enter(before)
            self.inner.socket = None
            self.inner = None
