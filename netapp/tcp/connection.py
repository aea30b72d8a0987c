"""A connection: its state, and the calls that appliances make."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.cpython.bytes import PyBytes_AS_STRING
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.string import memcpy
from cython.cimports.netapp.event.manager import events
from cython.cimports.netapp.iobuf.chain import Chain, in_small_pieces, wrap
from cython.cimports.netapp.iobuf.pool import (
    PLACE_APPLIANCE,
    PLACE_TCP,
    class_of,
    iobuf_t,
    new_iobuf,
    release_slot,
    running_pool,
    slot_t,
    take_slot,
)
from cython.cimports.netapp.net.address import format_address
from cython.cimports.netapp.tcp.extras import Extras, extras_of, urgent_left
from cython.cimports.netapp.tcp.receive import finish, reset
from cython.cimports.netapp.tcp.sequence import seq_add, seq_sub
from cython.cimports.netapp.tcp.timers import set_timer
from cython.cimports.netapp.tcp.touched import touch

_NAMES = (
    "CLOSED",
    "LISTEN",
    "SYN_SENT",
    "SYN_RECEIVED",
    "ESTABLISHED",
    "FIN_WAIT_1",
    "FIN_WAIT_2",
    "CLOSE_WAIT",
    "CLOSING",
    "LAST_ACK",
    "TIME_WAIT",
)

# Bytes up to which send() copies: a reference to them would cost more.
_SMALL_SEND = cython.declare(cython.Py_ssize_t, 256)

_SECOND = cython.declare(uint64_t, 1_000_000_000)
# Of times that are added to the clock's, which must not wrap.
_LONGEST = cython.declare(uint64_t, (1 << 62) - 1)

_live = cython.declare(cython.longlong, 0)


def checked_traffic_class(value):
    if not 0 <= value < 256 or value & 3:
        raise ValueError(f"{value} is no traffic class: 0 to 252, and a multiple of 4")
    return value


def live_connections():
    """Connection objects alive in this process."""
    return _live


@cython.cfunc
@cython.exceptval(check=False)
def _append_copied(queue: Chain, data: Chain) -> cython.void:
    """As much of `data` as there are slots for, which is cut off it."""
    view: cython.pointer(iobuf_t) = data.head
    copied: uint64_t = 0
    while view != cython.NULL and queue.append_copy(view.data, view.length, PLACE_TCP):
        copied += view.length
        view = view.next
    data.advance(copied)


class SendQueueFull(BufferError):
    """The send queue is above its limit: wait for writable(). The argument: bytes that are queued."""

    def __str__(self):
        return f"{self.args[0]} bytes are queued: wait for writable()"


@cython.cfunc
@cython.exceptval(-1, check=False)
def _queue_alone(queue: Chain, data: bytes) -> cython.bint:
    """Copies it into a slot of its own; False: there is none."""
    length: uint32_t = cython.cast(uint32_t, len(data))
    slot: cython.pointer(slot_t)
    view: cython.pointer(iobuf_t)
    if length == 0 or queue.write_slot != cython.NULL:
        return False
    slot = take_slot(running_pool(), class_of(length), PLACE_APPLIANCE)
    if slot == cython.NULL:
        return False
    view = new_iobuf(slot, slot.memory, length)
    if view == cython.NULL:
        release_slot(slot)
        return False
    memcpy(view.data, PyBytes_AS_STRING(data), length)
    slot.home.pool.copied[PLACE_APPLIANCE] += length
    queue.append_view(view)
    return True


class Connection:
    def __cinit__(self):
        global _live
        _live += 1

    def __dealloc__(self):
        global _live
        _live -= 1

    def send(self, data):
        if self.state == CLOSED or self.flags & FIN_QUEUED:
            raise ConnectionError("the connection is closed for sending")
        if self.send_queue.length >= self.tcp.config.send_limit:
            self.flags |= WAS_FULL
            if not self.flags & IN_RECEIVE:
                raise SendQueueFull(self.send_queue.length)
        before: uint64_t = self.send_queue.length
        if isinstance(data, Chain):
            if before == 0:
                self.send_queue.take_all(cython.cast(Chain, data))
            else:
                if in_small_pieces(self.send_queue):
                    # The peer takes nothing: small pieces by reference would pin far more than send_limit says.
                    _append_copied(self.send_queue, cython.cast(Chain, data))
                self.send_queue.move_from(cython.cast(Chain, data))
        elif isinstance(data, bytes) and len(data) <= _SMALL_SEND:
            # Small ones share slots: one each would pin far more than send_limit says. One alone, as replies mostly
            # are, has a slot of its size.
            if self.send_queue.head != cython.NULL or not _queue_alone(self.send_queue, data):
                self.send_queue.write(data)
        else:
            self.send_queue.move_from(wrap(data))
        self.tcp.queued_bytes += self.send_queue.length - before
        if self.send_queue.length >= self.tcp.config.send_limit:
            self.flags |= WAS_FULL
        touch(self)

    def send_urgent(self, data):
        """What is queued up to the end of `data` is urgent (RFC 9293, 3.8.5): the peer is told at once, even where its
        window is closed. For protocols that have it; new ones should not (RFC 6093, 5)."""
        first: uint32_t = self.snd_una if self.state >= ESTABLISHED else seq_add(self.iss, 1)
        self.send(data)
        extras_of(self).snd_up = seq_add(first, cython.cast(uint32_t, self.send_queue.length))
        self.flags |= SND_URGENT | ACK_NOW

    def keepalive(self, idle=7200 * _SECOND, interval=75 * _SECOND, count=9):
        """After `idle` ns of silence the peer is probed, every `interval` ns; it is given up, with TimeoutError, when
        `count` probes stay without an answer. Off unless called; `idle` 0: off again (RFC 9293, 3.8.4)."""
        x: Extras = extras_of(self)
        now: uint64_t = events().now
        if idle > _LONGEST or interval > _LONGEST:
            raise ValueError("keepalive() takes times below 2 ** 62 ns")
        if idle and (interval == 0 or count < 2):
            # MUST-29: that one probe is not answered means nothing.
            raise ValueError("keepalive() takes an interval above 0 and a count of at least 2")
        x.keepalive_idle = idle
        x.keepalive_interval = interval
        x.keepalive_count = count
        x.keepalive_since = now
        x.probes = 0
        if idle and (SYN_SENT <= self.state <= ESTABLISHED or self.state == CLOSE_WAIT):
            set_timer(self, TIMER_LINGER, now + idle)

    @property
    def nagle(self) -> bool:
        """Whether what is less than a full segment waits until everything sent is acknowledged (RFC 9293, 3.7.4)."""
        return self.flags & NAGLE != 0

    @nagle.setter
    def nagle(self, wanted: bool):
        if wanted:
            self.flags |= NAGLE
        else:
            self.flags &= ~NAGLE
            if self.state != CLOSED:
                touch(self)

    @property
    def user_timeout(self) -> int:
        """ns that data may stay unacknowledged, also by a closed window, before closed(TimeoutError); in place of
        TcpConfig's times to give up (RFC 9293, 3.9.1, MUST-21; RFC 5482, 3). 0, as at first: those hold."""
        return 0 if self.extras is None else self.extras.user_timeout

    @user_timeout.setter
    def user_timeout(self, nanoseconds: int):
        if not 0 <= nanoseconds <= _LONGEST:
            raise ValueError(f"{nanoseconds} is no user time-out: 0, or ns below 2 ** 62")
        extras_of(self).user_timeout = nanoseconds

    @property
    def traffic_class(self) -> int:
        """The octet of IP's header with the Differentiated Services field (RFC 2474), of what is sent (RFC 9293,
        3.9.1.9, MUST-48, SHLD-21). Its last two bits are ECN's (RFC 3168), and 0."""
        return self.ds_field

    @traffic_class.setter
    def traffic_class(self, value: int):
        self.ds_field = checked_traffic_class(value)
        if self.path is not None:
            self.path.mark(self.tcp.config.ttl, self.ds_field)

    @property
    def urgent_left(self) -> int:
        """Urgent bytes that receive() has not been given (MUST-33)."""
        return urgent_left(self)

    def close(self):
        if self.state == CLOSED or self.flags & FIN_QUEUED:
            return
        if self.state == SYN_SENT:
            finish(self, ConnectionAbortedError("closed before it was established"))
            return
        self.flags |= FIN_QUEUED
        if self.state == ESTABLISHED:
            self.state = FIN_WAIT_1
        elif self.state == CLOSE_WAIT:
            self.state = LAST_ACK
        touch(self)

    def abort(self):
        if self.state != CLOSED and self.handler is not None:
            reset(self, ConnectionAbortedError("abort() was called"))

    def pause(self):
        self.flags |= PAUSED

    def resume(self):
        if self.flags & PAUSED:
            self.flags &= ~PAUSED
            if self.tcp is not None:
                # Of those that have ended only the handler knows, and not who took over meanwhile.
                while self.tcp.successor is not None:
                    self.tcp = self.tcp.successor
                touch(self)

    @property
    def state_name(self) -> str:
        return _NAMES[self.state]

    @property
    def local(self) -> tuple:
        """(address, port)"""
        return format_address(self.key.local), self.key.ports & 0xFFFF

    @property
    def remote(self) -> tuple:
        """(address, port)"""
        return format_address(self.key.remote), self.key.ports >> 16

    @property
    def queued(self) -> int:
        """Bytes sent or to be sent that the peer has not acknowledged."""
        return self.send_queue.length

    @property
    def flight_size(self) -> int:
        """Bytes sent and not acknowledged (RFC 5681, 2)."""
        return seq_sub(self.snd_nxt, self.snd_una)

    def __repr__(self):
        return f"<Connection {self.local} {self.remote} {self.state_name}>"
