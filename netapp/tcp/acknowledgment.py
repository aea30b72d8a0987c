"""Acknowledgments: progress, duplicates, recovery, and the send window."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.netapp.tcp.connection import (
    FIN_QUEUED,
    IN_RECOVERY,
    PARTIAL,
    STARVED,
    TIMER_PERSIST,
    TIMER_RETRANSMIT,
    TIMING,
    UP_WRITABLE,
    WAS_FULL,
    Connection,
)
from cython.cimports.netapp.tcp.send import retransmit
from cython.cimports.netapp.tcp.sequence import seq_le, seq_lt, seq_sub
from cython.cimports.netapp.tcp.timers import forget_backoff, measured, set_timer, stop_timer
from cython.cimports.netapp.tcp.touched import touch
from cython.cimports.netapp.wire.tcp import FLAG_FIN


@cython.cfunc
@cython.exceptval(-1, check=False)
def _duplicate(c: Connection, now: uint64_t) -> cython.int:
    if c.duplicate_acks < 255:
        c.duplicate_acks += 1
    c.tcp.counts.duplicate_acks += 1
    if c.flags & IN_RECOVERY:
        c.congestion.duplicate(c)
    elif c.duplicate_acks == 3:
        # RFC 6582, 3.2, step 1: not for what was sent before the last recovery or time-out.
        if not seq_lt(c.recover, c.snd_una):
            return 0
        c.congestion.loss_detected(c)
        c.flags = (c.flags & ~PARTIAL) | IN_RECOVERY
        c.recover = c.snd_nxt
        c.tcp.counts.fast_retransmits += 1
        retransmit(c, now)
    touch(c)
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def _progress(c: Connection, ack: uint32_t, acked: uint32_t, now: uint64_t) -> cython.int:
    flight: uint32_t = seq_sub(c.snd_nxt, c.snd_una)
    length: uint32_t = acked
    deadline: uint64_t
    restarts: cython.bint = True
    if c.flags & TIMING and seq_le(c.timed_seq, ack):
        measured(c, now - c.timed_at)
        c.flags &= ~TIMING
    # What is above the queue's length is the FIN.
    if length > c.send_queue.length:
        length = cython.cast(uint32_t, c.send_queue.length)
    if not seq_lt(ack, c.snd_next_cut):
        c.snd_next_cut = ack
        c.cut_view = cython.NULL
    if length < c.send_queue.length:
        c.send_queue.advance(length)
    else:
        c.send_queue.drop_views()
        c.cut_view = cython.NULL
        if c.send_queue.write_slot != cython.NULL:
            # An idle connection keeps no slot for small sends to come.
            c.send_queue.clear()
    c.tcp.queued_bytes -= length
    c.snd_una = ack
    if c.flags & IN_RECOVERY:
        if seq_le(c.recover, ack):
            c.congestion.recovered(c)
            c.flags &= ~IN_RECOVERY
            c.duplicate_acks = 0
        else:
            # RFC 6582, 3.2, step 5: a partial acknowledgment; the next hole is lost too. Only the first one restarts
            # the timer: with many holes slow start is quicker than one a round trip (section 4).
            c.congestion.partial(c, acked)
            deadline = c.deadlines[TIMER_RETRANSMIT]
            retransmit(c, now)
            if c.flags & PARTIAL and deadline:
                c.deadlines[TIMER_RETRANSMIT] = deadline
            c.flags |= PARTIAL
            restarts = False
    else:
        c.duplicate_acks = 0
        # Behind SND.UNA it stays near: after 2^31 bytes it would seem to lie ahead.
        if seq_lt(c.recover, ack):
            c.recover = seq_sub(ack, 1)
        # A window that was not used says nothing about the network (RFC 7661).
        if 2 * cython.cast(uint64_t, flight) >= c.cwnd:
            c.congestion.acknowledged(c, acked)
    if ack == c.snd_nxt:
        stop_timer(c, TIMER_RETRANSMIT)
    elif restarts:
        # RFC 6298 (5.3)
        set_timer(c, TIMER_RETRANSMIT, now + c.rto)
    if c.flags & WAS_FULL and c.send_queue.length <= c.tcp.config.send_limit // 2:
        c.flags = (c.flags & ~WAS_FULL) | UP_WRITABLE
        touch(c)
    elif c.send_queue.length > seq_sub(c.snd_next_cut, ack) or c.flags & (FIN_QUEUED | STARVED):
        touch(c)
    return 0


def acknowledgment_arrives(c, segment, now):
    window: uint32_t = cython.cast(uint32_t, segment.window) << c.snd_wnd_shift
    acked: uint32_t = seq_sub(segment.ack, c.snd_una)
    # Whatever the peer acknowledges, it is there: R2 begins anew.
    c.heard_at = now
    if acked:
        _progress(c, segment.ack, acked, now)
    elif (
        # RFC 5681, 2: what makes a duplicate acknowledgment.
        c.snd_nxt != c.snd_una
        and segment.length == 0
        and not segment.flags & FLAG_FIN
        and window == c.snd_wnd
        and c.deadlines[TIMER_PERSIST] == 0
    ):
        _duplicate(c, now)
    # RFC 9293, 3.10.7.4: an older segment does not change the window.
    if seq_lt(c.snd_wl1, segment.seq) or (c.snd_wl1 == segment.seq and seq_le(c.snd_wl2, segment.ack)):
        c.snd_wl1 = segment.seq
        c.snd_wl2 = segment.ack
        if window != c.snd_wnd:
            if window > c.snd_wnd:
                touch(c)
            c.snd_wnd = window
            if window > c.max_snd_wnd:
                c.max_snd_wnd = window
        if window and c.deadlines[TIMER_PERSIST]:
            stop_timer(c, TIMER_PERSIST)
            forget_backoff(c)
            if seq_sub(c.snd_next_cut, c.snd_una) <= 1:
                # The window is open: the byte of a probe may have been refused, so the cut goes back to it.
                c.snd_next_cut = c.snd_una
                c.cut_view = cython.NULL
            else:
                # What used a small window up was within it, and is on its way.
                set_timer(c, TIMER_RETRANSMIT, now + c.rto)
            touch(c)
    return 0
