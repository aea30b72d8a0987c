"""A segment arrives (RFC 9293, 3.10.7)."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.libc.stdint import uint8_t, uint16_t, uint32_t, uint64_t
from cython.cimports.netapp.iobuf.chain import Chain
from cython.cimports.netapp.iobuf.pool import only_reserve, running_pool
from cython.cimports.netapp.tcp.acknowledgment import acknowledgment_arrives
from cython.cimports.netapp.tcp.connection import (
    ACK_DELAYED,
    ACK_NOW,
    CLOSE_WAIT,
    CLOSED,
    CLOSING,
    ESTABLISHED,
    FIN_AHEAD,
    FIN_QUEUED,
    FIN_RECEIVED,
    FIN_SENT,
    FIN_WAIT_1,
    FIN_WAIT_2,
    LAST_ACK,
    PAUSED,
    STARVED,
    SYN_RECEIVED,
    SYN_SENT,
    SYN_TIMED_OUT,
    TIME_WAIT,
    TIMER_LINGER,
    TIMER_RETRANSMIT,
    TIMING,
    UP_ANY,
    UP_CLOSED,
    UP_CONNECTED,
    UP_PEER_CLOSED,
    WAS_FULL,
    WINDOW_SCALING,
    Connection,
)
from cython.cimports.netapp.tcp.extras import urgent_arrives
from cython.cimports.netapp.tcp.listener import Listener
from cython.cimports.netapp.tcp.manager import TcpManager, segment_t
from cython.cimports.netapp.tcp.reassembly import Reassembly
from cython.cimports.netapp.tcp.receive import deliver, finish, text_arrives
from cython.cimports.netapp.tcp.send import acknowledge, send_syn
from cython.cimports.netapp.tcp.sequence import seq_add, seq_le, seq_lt, seq_sub
from cython.cimports.netapp.tcp.timers import measured, set_timer, stop_timer, stop_timers
from cython.cimports.netapp.tcp.touched import touch
from cython.cimports.netapp.wire.tcp import FLAG_ACK, FLAG_FIN, FLAG_RST, FLAG_SYN, FLAG_URG

# RFC 5961, 7: challenge ACKs of a connection in so many ns.
_CHALLENGES = cython.declare(cython.int, 10)
_CHALLENGE_PERIOD = cython.declare(uint64_t, 5_000_000_000)


@cython.cfunc
@cython.exceptval(check=False)
def _learn_options(c: Connection, segment: cython.pointer(segment_t)) -> cython.void:
    """From the peer's SYN (RFC 9293, 3.7.1; RFC 7323, 2.2)."""
    mss: uint32_t = segment.options.mss
    if mss == 0:
        # RFC 9293, 3.7.1 (MUST-15)
        mss = 536
    elif mss < 64:
        # A peer must not have every byte sent in a segment of its own.
        mss = 64
    c.max_snd_mss = cython.cast(uint16_t, mss)
    c.snd_mss = mss if mss < c.rcv_mss else c.rcv_mss
    c.rcv_largest = 536 if c.rcv_mss > 536 else c.rcv_mss
    if segment.options.has_window_scale:
        c.flags |= WINDOW_SCALING
        c.snd_wnd_shift = segment.options.window_scale
        c.rcv_wnd_shift = c.tcp.config.window_scale
    else:
        c.flags &= ~WINDOW_SCALING
        c.snd_wnd_shift = 0
        c.rcv_wnd_shift = 0


def learn_syn(c, segment):
    window: uint64_t = c.tcp.config.receive_window
    c.irs = segment.seq
    c.rcv_nxt = seq_add(segment.seq, 1)
    # RFC 7323, 2.2: the window of a SYN is not scaled. Ours is offered even where no slot is left to say so.
    c.rcv_adv = seq_add(c.rcv_nxt, cython.cast(uint32_t, window if window < 65535 else 65535))
    c.snd_wnd = segment.window
    c.max_snd_wnd = segment.window
    c.snd_wl1 = segment.seq
    c.snd_wl2 = segment.ack
    _learn_options(c, segment)
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def _established(c: Connection, segment: cython.pointer(segment_t), now: uint64_t) -> cython.int:
    """The handshake is done: our SYN is acknowledged."""
    tcp: TcpManager = c.tcp
    listener: Listener = c.listener
    timed_out: cython.bint = c.flags & SYN_TIMED_OUT
    if c.flags & TIMING:
        measured(c, now - c.timed_at)
        c.flags &= ~TIMING
    c.snd_una = segment.ack
    c.snd_next_cut = segment.ack
    c.recover = c.iss
    stop_timer(c, TIMER_RETRANSMIT)
    c.heard_at = now
    c.state = FIN_WAIT_1 if c.flags & FIN_QUEUED else ESTABLISHED
    c.congestion.start(c)
    if timed_out:
        # RFC 6298 (5.7): at least 3 s for data after a SYN timed out.
        c.rto = 3 * tcp.config.initial_rto
    c.backoff = 0
    if listener is not None:
        listener.established(c)
        if c.state == CLOSED:
            return 0
    c.flags |= UP_CONNECTED
    if c.send_queue.length or c.flags & FIN_QUEUED:
        touch(c)
    return 0


def queue_with_syn(c, segment, payload):
    # RFC 9293, 3.10.7.2 and 3.10.7.3. It is not acknowledged before the handshake is done: what the peer sends again
    # then is a duplicate, and a forged SYN costs no more than a slot.
    window: uint32_t = seq_sub(c.rcv_adv, c.rcv_nxt)
    length: uint32_t = segment.length
    if length > window:
        payload.trim(length - window)
    elif segment.flags & FLAG_FIN:
        c.flags |= FIN_AHEAD
        c.rcv_fin = seq_add(c.rcv_nxt, length)
    if payload.length:
        c.reassembly = Reassembly.__new__(Reassembly)
        if not c.tcp.keep_out_of_order(c, c.rcv_nxt, payload):
            c.tcp.counts.dropped_reassembly += 1
            c.reassembly = None
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def _take_what_came_with_syn(c: Connection, now: uint64_t) -> cython.int:
    payload: Chain = None
    if c.reassembly is None and not c.flags & FIN_AHEAD:
        return 0
    if c.reassembly is not None:
        payload = c.reassembly.pop(c.rcv_nxt)
        if c.reassembly.count == 0:
            c.reassembly = None
    if payload is not None:
        c.rcv_nxt = seq_add(c.rcv_nxt, cython.cast(uint32_t, payload.length))
        c.flags |= ACK_NOW
        touch(c)
    if c.flags & FIN_AHEAD and c.rcv_fin == c.rcv_nxt:
        _fin_arrives(c, now)
    if payload is not None:
        return text_arrives(c, payload)
    return deliver(c)


@cython.cfunc
@cython.exceptval(-1, check=False)
def _in_syn_sent(c: Connection, segment: cython.pointer(segment_t), payload: Chain, now: uint64_t) -> cython.int:
    """RFC 9293, 3.10.7.3."""
    tcp: TcpManager = c.tcp
    acknowledged: cython.bint = segment.flags & FLAG_ACK
    if acknowledged and segment.ack != c.snd_nxt:
        tcp.counts.dropped_acknowledgment += 1
        return tcp.refuse_connection(c, segment)
    if segment.flags & FLAG_RST:
        if acknowledged:
            tcp.counts.resets_in += 1
            finish(c, ConnectionRefusedError("the peer refuses the connection"))
        else:
            tcp.counts.dropped_flags += 1
        return deliver(c)
    if not segment.flags & FLAG_SYN:
        tcp.counts.dropped_flags += 1
        return 0
    learn_syn(c, segment)
    if acknowledged:
        _established(c, segment, now)
        c.flags |= ACK_NOW
        touch(c)
        if segment.flags & FLAG_URG:
            urgent_arrives(c, segment.urgent)
        queue_with_syn(c, segment, payload)
        _take_what_came_with_syn(c, now)
        return deliver(c)
    # Simultaneous open (RFC 9293, 3.5, figure 7).
    c.state = SYN_RECEIVED
    c.flags &= ~TIMING
    if send_syn(c, now):
        return 0
    return queue_with_syn(c, segment, payload)


@cython.cfunc
@cython.exceptval(-1, check=False)
def _acknowledge_now(c: Connection) -> cython.int:
    c.flags |= ACK_NOW
    touch(c)
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def _challenge(c: Connection, now: uint64_t) -> cython.int:
    # RFC 5961, 3.2, 4.2, 5.2; throttled as its section 7 asks, each connection for itself: what all of them share would
    # tell an attacker whether he met one (CVE-2016-5696).
    if c.challenges == 0 or now - c.challenges_since >= _CHALLENGE_PERIOD:
        c.challenges_since = now
        c.challenges = 0
    if c.challenges >= _CHALLENGES:
        c.tcp.counts.challenges_withheld += 1
        return 0
    c.challenges += 1
    c.tcp.counts.challenge_acks += 1
    return _acknowledge_now(c)


@cython.cfunc
@cython.exceptval(check=False)
def _acceptable(c: Connection, seq: uint32_t, length: uint32_t) -> cython.bint:
    """RFC 9293, 3.4, table 6. Also what begins at the window's right edge, whose text is then cut off: a peer that used
    the window up, or met one of zero, acknowledges with that sequence number (3.10.7.4)."""
    window: uint32_t = seq_sub(c.rcv_adv, c.rcv_nxt)
    if seq_sub(seq, c.rcv_nxt) <= window:
        return True
    return length > 0 and seq_sub(seq_add(seq, length - 1), c.rcv_nxt) < window


@cython.cfunc
@cython.exceptval(check=False)
def _answers_probe(c: Connection, ack: uint32_t) -> cython.bint:
    """What went beyond the peer's window is acknowledged: until then ours begin before it (_acceptable_sequence())."""
    beyond: cython.bint = seq_lt(seq_add(c.snd_una, c.snd_wnd), c.snd_nxt)
    return c.state >= ESTABLISHED and beyond and seq_lt(c.snd_una, ack) and seq_le(ack, c.snd_nxt)


@cython.cfunc
@cython.exceptval(-1, check=False)
def _reset_arrives(c: Connection) -> cython.int:
    c.tcp.counts.resets_in += 1
    if c.state == SYN_RECEIVED:
        finish(c, ConnectionRefusedError("the peer refuses the connection"))
    elif c.state == TIME_WAIT or (c.state >= CLOSING and c.send_queue.length == 0):
        finish(c, None)
    else:
        finish(c, ConnectionResetError("the peer reset the connection"))
    return deliver(c)


@cython.cfunc
@cython.exceptval(-1, check=False)
def _to_time_wait(c: Connection, now: uint64_t) -> cython.int:
    c.state = TIME_WAIT
    c.tcp.in_time_wait[c] = None
    stop_timers(c)
    set_timer(c, TIMER_LINGER, now + c.tcp.config.time_wait)
    if c.listener is not None:
        c.listener.forget(c)
        c.listener = None
    # For the user the connection has ended: both sides are closed.
    if c.handler is not None:
        c.flags |= UP_CLOSED
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def _acknowledgment(c: Connection, segment: cython.pointer(segment_t), now: uint64_t) -> cython.int:
    """Fifth, check the ACK field. 1: go on with the segment, 0: it is done."""
    fin_acknowledged: cython.bint
    if c.state == SYN_RECEIVED:
        if segment.ack != c.snd_nxt:
            c.tcp.counts.dropped_acknowledgment += 1
            c.tcp.refuse_connection(c, segment)
            return 0
        if c.listener is not None and c.listener.is_full():
            # The peer acknowledges again when our SYN comes again.
            c.tcp.counts.dropped_backlog += 1
            return 0
        # RFC 7323, 2.2: the window of a SYN is not scaled.
        c.snd_wnd = cython.cast(uint32_t, segment.window) << (0 if segment.flags & FLAG_SYN else c.snd_wnd_shift)
        if c.snd_wnd > c.max_snd_wnd:
            c.max_snd_wnd = c.snd_wnd
        c.snd_wl1 = segment.seq
        c.snd_wl2 = segment.ack
        _established(c, segment, now)
        if c.state != CLOSED:
            _take_what_came_with_syn(c, now)
        return c.state != CLOSED
    if seq_lt(c.snd_nxt, segment.ack):
        # RFC 9293: it acknowledges what was not sent.
        c.tcp.counts.dropped_acknowledgment += 1
        _challenge(c, now)
        return 0
    if seq_lt(segment.ack, c.snd_una):
        # RFC 5961, 5.2: too old to be a late one.
        if c.max_snd_wnd < seq_sub(c.snd_una, segment.ack):
            c.tcp.counts.dropped_acknowledgment += 1
            _challenge(c, now)
            return 0
        return 1
    acknowledgment_arrives(c, segment, now)
    if c.state >= FIN_WAIT_1 and c.flags & FIN_SENT:
        fin_acknowledged = c.snd_una == c.snd_nxt
        if fin_acknowledged:
            if c.state == FIN_WAIT_1:
                c.state = FIN_WAIT_2
                set_timer(c, TIMER_LINGER, now + c.tcp.config.fin_wait_2)
            elif c.state == CLOSING:
                _to_time_wait(c, now)
            elif c.state == LAST_ACK:
                finish(c, None)
                deliver(c)
                return 0
    return 1


@cython.cfunc
@cython.exceptval(-1, check=False)
def _fin_arrives(c: Connection, now: uint64_t) -> cython.int:
    """Eighth: everything before the FIN is here."""
    c.rcv_nxt = seq_add(c.rcv_nxt, 1)
    if seq_lt(c.rcv_adv, c.rcv_nxt):
        c.rcv_adv = c.rcv_nxt
    c.flags = (c.flags & ~FIN_AHEAD) | FIN_RECEIVED | UP_PEER_CLOSED
    _acknowledge_now(c)
    if c.state == ESTABLISHED:
        c.state = CLOSE_WAIT
    elif c.state == FIN_WAIT_1:
        c.state = CLOSING
    elif c.state == FIN_WAIT_2:
        _to_time_wait(c, now)
        # Everybody has closed: closed() says it.
        c.flags &= ~UP_PEER_CLOSED
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def _text(c: Connection, seq: uint32_t, payload: Chain, fin: cython.bint, now: uint64_t) -> cython.int:
    """Seventh and eighth: the segment's text, within the window, and its FIN."""
    length: uint32_t = cython.cast(uint32_t, payload.length)
    if fin:
        c.flags |= FIN_AHEAD
        c.rcv_fin = seq_add(seq, length)
    if c.state == FIN_WAIT_2:
        set_timer(c, TIMER_LINGER, now + c.tcp.config.fin_wait_2)
    if length > c.rcv_largest:
        c.rcv_largest = cython.cast(uint16_t, length if length < c.rcv_mss else c.rcv_mss)
    if seq != c.rcv_nxt and (length or fin):
        c.tcp.counts.out_of_order += 1
        if length:
            if c.reassembly is None:
                c.reassembly = Reassembly.__new__(Reassembly)
            if not c.tcp.keep_out_of_order(c, seq, payload):
                c.tcp.counts.dropped_reassembly += 1
        # RFC 5681, 4.2: each out-of-order segment is acknowledged at once; the peer counts to three.
        if acknowledge(c):
            _acknowledge_now(c)
        return 0
    if length:
        if (c.received is not None or c.flags & (PAUSED | STARVED | WAS_FULL)) and only_reserve(running_pool()):
            # It would wait, in slots that acknowledgments and resets need to come in: the peer sends it again.
            c.tcp.counts.exhausted += 1
            return 0
        if c.reassembly is not None:
            if c.reassembly.count and seq_le(c.reassembly.ranges[0].start, seq_add(seq, length)):
                # Through the ranges, so that bytes which came first stay.
                c.reassembly.insert(seq, payload)
                payload = c.reassembly.pop(seq)
                length = cython.cast(uint32_t, payload.length)
            if c.reassembly.count == 0:
                c.reassembly = None
            # RFC 5681, 4.2: at once, when a gap is filled.
            c.flags |= ACK_NOW
        c.rcv_nxt = seq_add(c.rcv_nxt, length)
        c.rcv_unacked += length
        # RFC 5681, 4.2: at least every second full-sized segment; else it waits for data to ride on.
        c.flags |= ACK_NOW if c.rcv_unacked >= 2 * cython.cast(uint32_t, c.rcv_largest) else ACK_DELAYED
        touch(c)
    if c.flags & FIN_AHEAD and c.rcv_fin == c.rcv_nxt:
        _fin_arrives(c, now)
    # State is settled: up to the handler.
    if payload.length:
        text_arrives(c, payload)
    elif c.flags & UP_ANY:
        deliver(c)
    return 0


def segment_arrives(c, segment, payload, now):
    seq: uint32_t = segment.seq
    flags: uint8_t = segment.flags
    length: uint32_t = segment.length
    cut: uint32_t
    if c.state <= SYN_RECEIVED:
        if c.state == SYN_SENT:
            return _in_syn_sent(c, segment, payload, now)
        if flags & (FLAG_SYN | FLAG_RST) == FLAG_SYN and seq == c.irs:
            if not flags & FLAG_ACK or c.listener is not None:
                # The peer did not get our SYN and ACK.
                return send_syn(c, now)
            # Simultaneous open (RFC 9293, 3.5, figure 7, line 6): its SYN is here already, its acknowledgment is new.
            flags &= ~FLAG_SYN
            seq = c.rcv_nxt

    # First, check the sequence number (3.10.7.4).
    if seq != c.rcv_nxt and not _acceptable(
        c, seq, length + (1 if flags & FLAG_SYN else 0) + (1 if flags & FLAG_FIN else 0)
    ):
        c.tcp.counts.dropped_sequence += 1
        if flags & FLAG_RST:
            return 0
        if length == 0 and not flags & (FLAG_SYN | FLAG_FIN) and seq != seq_sub(c.rcv_nxt, 1):
            # Bare acknowledgments must not answer each other for ever; keep-alives (RFC 9293, 3.8.4) are apart.
            return _challenge(c, now)
        if c.state == TIME_WAIT and flags & FLAG_FIN:
            set_timer(c, TIMER_LINGER, now + c.tcp.config.time_wait)
        _acknowledge_now(c)
        if length != 0 or flags & (FLAG_SYN | FLAG_FIN) or not _answers_probe(c, segment.ack):
            return 0
        # Nor must two ends that probed each other's window, and both took the byte: it says that, and is taken as if it
        # came where it should.
        seq = c.rcv_nxt

    if flags & (FLAG_RST | FLAG_SYN | FLAG_ACK) != FLAG_ACK:
        # Second, check the RST bit (RFC 5961, 3.2).
        if flags & FLAG_RST and seq == c.rcv_nxt:
            return _reset_arrives(c)
        c.tcp.counts.dropped_flags += 1
        if (
            flags & (FLAG_RST | FLAG_SYN) == FLAG_SYN
            and c.state == SYN_RECEIVED
            and c.listener is not None
            and seq != c.rcv_adv
        ):
            # Fourth, check the SYN bit: within the window, a passive open goes back to LISTEN.
            return finish(c, None)
        # RFC 5961, 4.2
        if flags & (FLAG_RST | FLAG_SYN):
            return _challenge(c, now)
        return 0

    # Fifth, check the ACK field.
    if not _acknowledgment(c, segment, now):
        return 0

    if length or flags & (FLAG_FIN | FLAG_URG):
        if c.state > FIN_WAIT_2 or c.flags & FIN_RECEIVED:
            # CLOSE_WAIT and later: the FIN was the last byte of the peer.
            c.tcp.counts.dropped_closed += 1
            return deliver(c)
        # Only what is within the window.
        if seq_lt(seq, c.rcv_nxt):
            cut = seq_sub(c.rcv_nxt, seq)
            payload.advance(cut if cut < length else length)
            seq = c.rcv_nxt
        cut = seq_add(seq, cython.cast(uint32_t, payload.length))
        if seq_lt(c.rcv_adv, cut):
            c.tcp.counts.dropped_window += 1
            payload.trim(seq_sub(cut, c.rcv_adv))
            flags &= ~FLAG_FIN
            _acknowledge_now(c)
        if flags & FLAG_URG:
            # Sixth, also where the window is closed (MUST-66).
            urgent_arrives(c, segment.urgent)
        return _text(c, seq, payload, flags & FLAG_FIN, now)
    if c.flags & UP_ANY:
        return deliver(c)
    return 0
