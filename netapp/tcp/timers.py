"""Time-outs of a connection (RFC 6298; RFC 9293, 3.8)."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.netapp.event.timer import timers
from cython.cimports.netapp.tcp.connection import (
    ACK_NOW,
    CLOSED,
    ESTABLISHED,
    FIN_WAIT_2,
    IN_RECOVERY,
    SYN_RECEIVED,
    SYN_SENT,
    SYN_TIMED_OUT,
    TIME_WAIT,
    TIMER_DELAYED_ACK,
    TIMER_PERSIST,
    TIMER_RETRANSMIT,
    TIMERS,
    TIMING,
    UP_DELIVERY_DELAYED,
    Connection,
)
from cython.cimports.netapp.tcp.extras import keepalive_due
from cython.cimports.netapp.tcp.receive import finish, reset
from cython.cimports.netapp.tcp.send import fit_path, output, probe_window, send_syn
from cython.cimports.netapp.tcp.touched import touch

# Clock granularity G of RFC 6298 (2.3): the loop's turns.
_GRANULARITY = cython.declare(uint64_t, 1_000_000)
# R1 of RFC 9293, 3.8.3 (SHLD-10): so many retransmissions of the same segment.
_R1 = cython.declare(uint32_t, 3)


@cython.cfunc
@cython.exceptval(-1, check=False)
def _gives_up(c: Connection, now: uint64_t) -> cython.int:
    """RFC 9293, 3.8.3: R2, counted from the first time-out that nothing answered; or the user time-out, for as long as
    nothing is acknowledged."""
    limit: uint64_t = c.tcp.config.give_up
    if c.timed_out_una != c.snd_una:
        c.timeouts = 0
        c.timed_out_una = c.snd_una
        if c.extras is not None:
            c.extras.waits_since = 0
    if c.extras is not None and c.extras.user_timeout:
        if c.extras.waits_since == 0:
            c.extras.waits_since = now - c.rto
        if now - c.extras.waits_since >= c.extras.user_timeout:
            reset(c, TimeoutError("the user time-out is over"))
            return 1
        return 0
    if c.state == SYN_SENT:
        limit = c.tcp.config.syn_give_up
    elif c.state == SYN_RECEIVED:
        limit = c.tcp.config.syn_received_give_up
    if c.unanswered_since <= c.heard_at:
        c.unanswered_since = now
    elif now - c.unanswered_since >= limit:
        reset(c, TimeoutError("the peer does not answer"))
        return 1
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def _timed_out_again(c: Connection) -> cython.int:
    if c.timeouts < 255:
        c.timeouts += 1
    if c.timeouts >= _R1:
        # RFC 9293, 3.8.3: IP looks for another way (MUST-20), and the user hears of it, once (SHLD-9).
        c.tcp.counts.negative_advice += 1
        c.path.doubt()
        if c.timeouts == _R1 and c.handler is not None:
            c.flags |= UP_DELIVERY_DELAYED
            touch(c)
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def _not_beyond_user_timeout(c: Connection, which: cython.int) -> cython.int:
    end: uint64_t
    if c.extras is not None and c.extras.user_timeout and c.state != CLOSED:
        end = c.extras.waits_since + c.extras.user_timeout
        if c.deadlines[which] > end:
            set_timer(c, which, end)
    return 0


@cython.cfunc
@cython.exceptval(check=False)
def _back_off(c: Connection) -> cython.void:
    # RFC 6298 (5.5)
    c.rto = c.rto * 2 if c.rto * 2 < c.tcp.config.maximum_rto else c.tcp.config.maximum_rto
    if c.backoff < 255:
        c.backoff += 1


@cython.cfunc
@cython.exceptval(-1, check=False)
def _retransmission_timed_out(c: Connection, now: uint64_t) -> cython.int:
    if c.snd_una == c.snd_nxt and c.state >= ESTABLISHED:
        # Nothing is lost: output waited for slots.
        touch(c)
        return 0
    if _gives_up(c, now):
        return 0
    c.tcp.counts.timeouts += 1
    # Karn's algorithm, RFC 6298, 3: no measurement over a retransmission.
    c.flags &= ~TIMING
    if c.state == SYN_SENT or c.state == SYN_RECEIVED:
        c.flags |= SYN_TIMED_OUT
        _back_off(c)
        _timed_out_again(c)
        send_syn(c, now)
        return _not_beyond_user_timeout(c, TIMER_RETRANSMIT)
    # Errors about a path MTU that others heard of lower it for all.
    fit_path(c)
    c.congestion.timed_out(c)
    _back_off(c)
    _timed_out_again(c)
    # RFC 6582, 3.2, step 6 and 4.2: leave recovery; no fast retransmit for what was sent before.
    c.flags &= ~IN_RECOVERY
    c.recover = c.snd_nxt
    c.duplicate_acks = 0
    c.snd_next_cut = c.snd_una
    c.cut_view = cython.NULL
    touch(c)
    if c.extras is not None and c.extras.user_timeout:
        # At once, because it says which timer is next.
        output(c, now)
        _not_beyond_user_timeout(c, TIMER_RETRANSMIT)
        _not_beyond_user_timeout(c, TIMER_PERSIST)
    return 0


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _earliest(c: Connection) -> uint64_t:
    """Of its deadlines; 0: there is none."""
    which: cython.int
    earliest: uint64_t = 0
    for which in range(TIMERS):
        if c.deadlines[which] and (earliest == 0 or c.deadlines[which] < earliest):
            earliest = c.deadlines[which]
    return earliest


@cython.cfunc
@cython.exceptval(-1, check=False)
def _fired(owner: cython.p_void, now: uint64_t) -> cython.int:
    c: Connection = cython.cast(Connection, owner)
    which: cython.int
    earliest: uint64_t = _earliest(c)
    if earliest > now:
        # What it was set for is over, as mostly: an acknowledgment came.
        return arm(c, earliest)
    for which in range(TIMERS):
        if c.deadlines[which] == 0 or c.deadlines[which] > now:
            continue
        c.deadlines[which] = 0
        if which == TIMER_RETRANSMIT:
            _retransmission_timed_out(c, now)
        elif which == TIMER_PERSIST:
            if not _gives_up(c, now):
                _back_off(c)
                probe_window(c, now)
                _not_beyond_user_timeout(c, TIMER_PERSIST)
        elif which == TIMER_DELAYED_ACK:
            c.flags |= ACK_NOW
            touch(c)
        elif c.state == TIME_WAIT:
            finish(c, None)
        elif c.state == FIN_WAIT_2:
            reset(c, TimeoutError("the peer does not close its side"))
        elif c.extras is not None:
            keepalive_due(c, now)
    if c.backoff and c.tcp.starved:
        c.tcp.relieve(c)
    if c.state == CLOSED:
        return 0
    earliest = _earliest(c)
    if earliest and (not c.timer.pending or earliest < c.timer.deadline):
        arm(c, earliest)
    return 0


def arm(c, deadline):
    timers().set(cython.address(c.timer), deadline)
    return 0


def prepare_timers(c):
    c.timer.owner = cython.cast(cython.p_void, c)
    c.timer.function = _fired
    c.rto = c.tcp.config.initial_rto


def stop_timers(c):
    which: cython.int
    for which in range(TIMERS):
        c.deadlines[which] = 0
    timers().cancel(cython.address(c.timer))


def measured(c, rtt):
    difference: uint64_t
    if c.srtt == 0:
        # RFC 6298 (2.2)
        c.srtt = rtt if rtt else 1
        c.rttvar = rtt // 2
    else:
        # RFC 6298 (2.3), alpha = 1/8, beta = 1/4
        difference = c.srtt - rtt if c.srtt > rtt else rtt - c.srtt
        c.rttvar = c.rttvar - c.rttvar // 4 + difference // 4
        c.srtt = c.srtt - c.srtt // 8 + rtt // 8
    forget_backoff(c)


def forget_backoff(c):
    rto: uint64_t = c.tcp.config.initial_rto
    c.backoff = 0
    if c.srtt:
        # RFC 6298 (2.2), (2.3)
        rto = c.srtt + (4 * c.rttvar if 4 * c.rttvar > _GRANULARITY else _GRANULARITY)
    # (2.4), (2.5)
    if rto < c.tcp.config.minimum_rto:
        rto = c.tcp.config.minimum_rto
    elif rto > c.tcp.config.maximum_rto:
        rto = c.tcp.config.maximum_rto
    c.rto = rto
