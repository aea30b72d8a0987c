"""Handing data and events up; the end of a connection."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

import logging

from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.netapp.event.raised import raised
from cython.cimports.netapp.iobuf.chain import Chain
from cython.cimports.netapp.iobuf.pool import PLACE_TCP, iobuf_t
from cython.cimports.netapp.tcp.connection import (
    ACK_NOW,
    CLOSED,
    CLOSING,
    ESTABLISHED,
    FIN_QUEUED,
    FIN_SENT,
    IN_CALLBACK,
    IN_RECEIVE,
    PAUSED,
    RCV_URGENT,
    STARVED,
    SYN_RECEIVED,
    TIME_WAIT,
    UP_ANY,
    UP_CLOSED,
    UP_CONNECTED,
    UP_DELIVERY_DELAYED,
    UP_PEER_CLOSED,
    UP_SOFT_ERROR,
    UP_URGENT,
    UP_WRITABLE,
    WAS_FULL,
    Connection,
)
from cython.cimports.netapp.tcp.extras import urgent_left
from cython.cimports.netapp.tcp.manager import TcpManager
from cython.cimports.netapp.tcp.send import send_reset, window_opens
from cython.cimports.netapp.tcp.timers import stop_timers
from cython.cimports.netapp.tcp.touched import touch

from netapp.event.report import let_go

_log = logging.getLogger("netapp.tcp")


@cython.cfunc
@cython.exceptval(-1, check=False)
def _failed(c: Connection, callback: str, error) -> cython.int:
    """An exception came out of a callback: this connection is reset, everything else goes on."""
    c.tcp.counts.callback_exceptions += 1
    _log.error("%s() of %s raised; its connection is reset", callback, type(c.handler).__name__, exc_info=error)
    let_go(error)
    reset(c, ConnectionAbortedError(f"{callback}() raised {type(error).__name__}"))
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def _call_receive(c: Connection, data: Chain) -> cython.int:
    if c.binding.receive is None:
        c.handler.receive(data)
    else:
        c.binding.receive(c.handler, data)
    return 0


# Entering a `try` costs more than the whole hand-over: called as if it raised nothing, it returns -1 when it did.
_unguarded_receive = cython.declare(receive_t, cython.cast(receive_t, _call_receive))


@cython.cfunc
@cython.exceptval(-1, check=False)
def _receive_failed(c: Connection) -> cython.int:
    try:
        raised()
    except Exception as error:
        _failed(c, "receive", error)
    return 0


@cython.cfunc
@cython.inline
@cython.exceptval(-1, check=False)
def _receive(c: Connection, data: Chain) -> cython.int:
    failed: cython.int
    c.flags |= IN_CALLBACK | IN_RECEIVE
    failed = _unguarded_receive(c, data)
    c.flags &= ~(IN_CALLBACK | IN_RECEIVE)
    if failed:
        _receive_failed(c)
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def _connected(c: Connection) -> cython.int:
    if c.binding.connected is None:
        c.handler.connected()
    else:
        c.binding.connected(c.handler)
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def _peer_closed(c: Connection) -> cython.int:
    if c.binding.peer_closed is None:
        c.handler.peer_closed()
    else:
        c.binding.peer_closed(c.handler)
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def _writable(c: Connection) -> cython.int:
    if c.binding.writable is None:
        c.handler.writable()
    else:
        c.binding.writable(c.handler)
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def _urgent(c: Connection) -> cython.int:
    if c.binding.urgent is None:
        c.handler.urgent(urgent_left(c))
    else:
        c.binding.urgent(c.handler, urgent_left(c))
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def _delivery_delayed(c: Connection) -> cython.int:
    if c.binding.delivery_delayed is None:
        c.handler.delivery_delayed()
    else:
        c.binding.delivery_delayed(c.handler)
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def _soft_error(c: Connection) -> cython.int:
    error = c.extras.soft_error
    c.extras.soft_error = None
    if c.binding.soft_error is None:
        c.handler.soft_error(error)
    else:
        c.binding.soft_error(c.handler, error)
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def _call(c: Connection, which: cython.uint, name: str) -> cython.int:
    c.flags &= ~which
    c.flags |= IN_CALLBACK
    try:
        if which == UP_CONNECTED:
            _connected(c)
        elif which == UP_PEER_CLOSED:
            _peer_closed(c)
        elif which == UP_WRITABLE:
            _writable(c)
        elif which == UP_URGENT:
            _urgent(c)
        elif which == UP_SOFT_ERROR:
            _soft_error(c)
        else:
            _delivery_delayed(c)
    except Exception as error:
        _failed(c, name, error)
    finally:
        c.flags &= ~IN_CALLBACK
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def _closed(c: Connection) -> cython.int:
    """The last call; afterwards handler and connection let go of each other."""
    handler = c.handler
    binding = c.binding
    error = c.error
    c.flags &= ~UP_ANY
    c.flags |= IN_CALLBACK
    c.tcp.unread.pop(c, None)
    try:
        if binding.closed is None:
            handler.closed(error)
        else:
            binding.closed(handler, error)
    except Exception as raised:
        c.tcp.counts.callback_exceptions += 1
        _log.error("closed() of %s raised", type(handler).__name__, exc_info=raised)
        let_go(raised)
    finally:
        c.flags &= ~IN_CALLBACK
        handler.connection = None
        c.handler = None
        c.binding = None
        c.error = None
    return 0


@cython.cfunc
@cython.inline
@cython.exceptval(-1, check=False)
def _may_feed(c: Connection) -> cython.bint:
    """Whether the handler gets data now. Replies that nobody acknowledges are bounded, a connection and in all."""
    if c.flags & PAUSED:
        return False
    if c.state == CLOSED:
        return True
    if c.send_queue.length >= c.tcp.config.send_limit:
        c.flags |= WAS_FULL
    if c.flags & WAS_FULL:
        # Until low water.
        return False
    if c.tcp.queued_bytes >= c.tcp.config.send_limit_total:
        # Whoever owes nothing is fed: those that do not read must not silence everybody else.
        if c.send_queue.length == 0 and c.tcp.relieve(c):
            return True
        if not c.flags & STARVED:
            c.flags |= STARVED
            c.tcp.starved[c] = None
        return False
    return True


@cython.cfunc
@cython.exceptval(-1, check=False)
def _hold(c: Connection, data: Chain) -> cython.int:
    """Keeps data that cannot go up now. Small pieces are copied together, so that they do not pin a slot each."""
    view: cython.pointer(iobuf_t) = data.head
    kept: uint64_t = 0
    if c.received is None:
        c.received = Chain.__new__(Chain)
    if data.pinned() * 100 > data.length * 145:
        while view != cython.NULL and c.received.append_copy(view.data, view.length, PLACE_TCP):
            kept += view.length
            view = view.next
        c.tcp.counts.coalesced_bytes += kept
        data.advance(kept)
    c.received.move_from(data)
    return 0


def text_arrives(c, data):
    if c.received is None and not c.flags & (UP_ANY | IN_CALLBACK | RCV_URGENT) and _may_feed(c):
        _receive(c, data)
        if not c.flags & UP_ANY:
            return 0
    else:
        _hold(c, data)
    return deliver(c)


@cython.cfunc
def _up_to_mark(c: Connection) -> Chain:
    """What waits, and where there is an urgent mark, nothing beyond it."""
    data: Chain = c.received
    left: uint32_t
    if c.flags & RCV_URGENT:
        left = urgent_left(c)
        if left <= data.length:
            c.flags &= ~RCV_URGENT
        if left < data.length:
            return data.take_front(left)
    c.received = None
    return data


def deliver(c):
    data: Chain
    if c.flags & IN_CALLBACK:
        return 0
    while c.handler is not None:
        if c.flags & UP_CONNECTED:
            _call(c, UP_CONNECTED, "connected")
        elif c.flags & UP_URGENT:
            _call(c, UP_URGENT, "urgent")
        elif c.flags & UP_DELIVERY_DELAYED:
            _call(c, UP_DELIVERY_DELAYED, "delivery_delayed")
        elif c.flags & UP_SOFT_ERROR:
            _call(c, UP_SOFT_ERROR, "soft_error")
        elif c.flags & UP_WRITABLE:
            if c.flags & (WAS_FULL | FIN_QUEUED) or c.state == CLOSED:
                # It is full again, or takes nothing more.
                c.flags &= ~UP_WRITABLE
            else:
                _call(c, UP_WRITABLE, "writable")
        elif c.received is not None:
            if not _may_feed(c):
                break
            data = _up_to_mark(c)
            if window_opens(c):
                c.flags |= ACK_NOW
                touch(c)
            _receive(c, data)
        elif c.flags & UP_PEER_CLOSED:
            _call(c, UP_PEER_CLOSED, "peer_closed")
        elif c.flags & UP_CLOSED:
            _closed(c)
        else:
            break
    return 0


def finish(c, error):
    tcp: TcpManager = c.tcp
    if c.state == CLOSED:
        return 0
    if c.listener is not None:
        c.listener.forget(c)
        c.listener = None
    if c.state == TIME_WAIT:
        del tcp.in_time_wait[c]
    c.state = CLOSED
    stop_timers(c)
    tcp.counts.closed += 1
    tcp.queued_bytes -= c.send_queue.length
    c.send_queue.clear()
    c.cut_view = cython.NULL
    c.reassembly = None
    c.path = None
    c.factory = None
    if c.flags & STARVED:
        c.flags &= ~STARVED
        del tcp.starved[c]
    tcp.table.remove(c)
    if c.handler is not None:
        if error is not None:
            # The user hears of the end at once; what it has not read is lost with the connection. In TIME_WAIT, too,
            # where closed() may wait behind it.
            c.received = None
            c.flags &= ~(UP_ANY ^ UP_CLOSED)
        if not c.flags & UP_CLOSED:
            c.error = error
            c.flags |= UP_CLOSED
        if c.received is not None:
            tcp.unread[c] = None
        touch(c)
    return 0


def give_up_unread(c):
    c.received = None
    c.flags &= ~(UP_ANY ^ UP_CLOSED)
    return deliver(c)


def reset(c, error):
    # RFC 9293, 3.10.5 (MUST-13): RST where the peer may still wait for us. In CLOSING and LAST_ACK all that it wants is
    # on its way, unless our FIN still waits behind data.
    if c.state == SYN_RECEIVED or (
        c.state >= ESTABLISHED and c.state < TIME_WAIT and (c.state < CLOSING or not c.flags & FIN_SENT)
    ):
        send_reset(c)
    return finish(c, error)
