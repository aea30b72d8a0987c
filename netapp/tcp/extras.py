"""Keep-alive (RFC 9293, 3.8.4) and urgent data (3.8.5; RFC 6093)."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.netapp.tcp.connection import (
    CLOSE_WAIT,
    CLOSED,
    ESTABLISHED,
    FIN_RECEIVED,
    RCV_URGENT,
    TIMER_LINGER,
    UP_URGENT,
    Connection,
)
from cython.cimports.netapp.tcp.receive import reset
from cython.cimports.netapp.tcp.send import send_keepalive
from cython.cimports.netapp.tcp.sequence import seq_lt, seq_sub
from cython.cimports.netapp.tcp.timers import set_timer
from cython.cimports.netapp.tcp.touched import touch


class Extras:
    pass


def extras_of(c):
    if c.extras is None:
        c.extras = Extras.__new__(Extras)
    return c.extras


def keepalive_due(c, now):
    x: Extras = c.extras
    heard: uint64_t
    if x.keepalive_idle == 0 or (c.state > ESTABLISHED and c.state != CLOSE_WAIT):
        # A FIN of ours is watched by its retransmission.
        return 0
    if c.state < ESTABLISHED or c.snd_una != c.snd_nxt or c.send_queue.length:
        # MUST-26: only when nothing is outstanding. What is finds out itself whether the peer is there.
        x.probes = 0
        return set_timer(c, TIMER_LINGER, now + x.keepalive_idle)
    heard = c.heard_at if c.heard_at > x.keepalive_since else x.keepalive_since
    if heard >= x.probed_at:
        x.probes = 0
        if heard + x.keepalive_idle > now:
            return set_timer(c, TIMER_LINGER, heard + x.keepalive_idle)
    elif x.probes >= x.keepalive_count:
        return reset(c, TimeoutError("the peer does not answer keep-alives"))
    if send_keepalive(c) == 0:
        x.probes += 1
        x.probed_at = now
    return set_timer(c, TIMER_LINGER, now + x.keepalive_interval)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _next_up(c: Connection) -> uint32_t:
    """The first byte that was not handed up."""
    waiting: uint32_t = 0 if c.received is None else cython.cast(uint32_t, c.received.length)
    # The FIN has a sequence number too.
    return seq_sub(c.rcv_nxt, waiting + (1 if c.flags & FIN_RECEIVED else 0))


def urgent_arrives(c, up):
    # RFC 9293, 3.10.7.4, sixth: RCV.UP <- max(RCV.UP, SEG.UP); MUST-32: whenever it moves on the user is told.
    if not seq_lt(_next_up(c), up) or (c.flags & RCV_URGENT and not seq_lt(c.extras.rcv_up, up)):
        return 0
    extras_of(c).rcv_up = up
    c.flags |= RCV_URGENT | UP_URGENT
    touch(c)
    return 0


def urgent_left(c):
    left: uint32_t
    if not c.flags & RCV_URGENT:
        return 0
    left = seq_sub(c.extras.rcv_up, _next_up(c))
    if (c.flags & FIN_RECEIVED or c.state == CLOSED) and (c.received is None or c.received.length < left):
        # A mark beyond the FIN, or what was lost with the connection: nothing will come there.
        left = 0 if c.received is None else cython.cast(uint32_t, c.received.length)
    return left
