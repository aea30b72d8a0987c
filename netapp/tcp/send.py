"""Output: segments cut from the send queue, and their headers."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.cpython.ref import Py_REFCNT
from cython.cimports.libc.stdint import int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from cython.cimports.libc.string import memset
from cython.cimports.netapp.drivers.device import FEATURE_CHECKSUM, FEATURE_TSO4
from cython.cimports.netapp.iobuf.chain import CHECKSUM_PARTIAL, GSO_TCPV4, Chain, offload_t, push_header
from cython.cimports.netapp.iobuf.pool import PLACE_TCP, iobuf_t, new_iobuf, release_slot
from cython.cimports.netapp.net.address import ipv4_of
from cython.cimports.netapp.net.ipv4 import DEFAULT_TTL
from cython.cimports.netapp.net.manager import network
from cython.cimports.netapp.net.transport import LOWER_HEADERS_BYTES, Path
from cython.cimports.netapp.tcp.connection import (
    ACK_DELAYED,
    ACK_NOW,
    CLOSED,
    ESTABLISHED,
    FIN_QUEUED,
    FIN_SENT,
    IN_RECOVERY,
    NAGLE,
    SND_URGENT,
    SYN_RECEIVED,
    SYN_SENT,
    TIME_WAIT,
    TIMER_DELAYED_ACK,
    TIMER_PERSIST,
    TIMER_RETRANSMIT,
    TIMING,
    WINDOW_SCALING,
    Connection,
)
from cython.cimports.netapp.tcp.manager import TcpManager
from cython.cimports.netapp.tcp.options import SYN_OPTIONS_BYTES, write_syn_options
from cython.cimports.netapp.tcp.sequence import seq_add, seq_lt, seq_sub
from cython.cimports.netapp.tcp.timers import set_timer, stop_timer
from cython.cimports.netapp.wire.bytes import store16, swap32
from cython.cimports.netapp.wire.checksum import fold, sum_chain, sum_pseudo_header
from cython.cimports.netapp.wire.tcp import (
    FLAG_ACK,
    FLAG_FIN,
    FLAG_PSH,
    FLAG_RST,
    FLAG_SYN,
    FLAG_URG,
    HEADER_BYTES_MIN,
    OFFSET_CHECKSUM,
    OFFSET_FLAGS,
    OFFSET_URGENT,
    write,
)

_PROTOCOL = cython.declare(uint8_t, 6)
# Why a segment was not sent, beside 1: the device's ring is full.
_NO_SLOTS = cython.declare(cython.int, 2)
_OVERRIDE_LEAST = cython.declare(uint64_t, 100_000_000)
_OVERRIDE_MOST = cython.declare(uint64_t, 1_000_000_000)
# What a segment that the device cuts may carry: an IP packet has at most 65,535 bytes.
_MAXIMUM_TEXT = cython.declare(uint32_t, 65535 - 20 - HEADER_BYTES_MIN)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _space(c: Connection) -> uint32_t:
    """The right edge that the receive buffer has room for."""
    window: uint64_t = c.tcp.config.receive_window
    if c.received is not None:
        window = window - c.received.length if c.received.length < window else 0
    return seq_add(c.rcv_nxt, cython.cast(uint32_t, window))


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _sayable(c: Connection, edge: uint32_t) -> uint32_t:
    """The right edge, as far as the window field can say it. Beyond what it says nothing is acceptable."""
    if not c.flags & WINDOW_SCALING and seq_sub(edge, c.rcv_nxt) > 65535:
        return seq_add(c.rcv_nxt, 65535)
    return edge


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _worthwhile(c: Connection) -> uint32_t:
    # RFC 9293, 3.8.6.2.2: min(half of the buffer, one segment).
    half: uint64_t = c.tcp.config.receive_window // 2
    return cython.cast(uint32_t, half) if half < c.rcv_mss else c.rcv_mss


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _offer(c: Connection) -> uint32_t:
    """Moves rcv_adv on where that is allowed; the window, bytes."""
    edge: uint32_t = _space(c)
    # RFC 9293, 3.8.6: the right edge does not move back; 3.8.6.2.2: it moves on in steps.
    if seq_lt(c.rcv_adv, edge) and seq_sub(edge, c.rcv_adv) >= _worthwhile(c):
        c.rcv_adv = _sayable(c, edge)
    return seq_sub(c.rcv_adv, c.rcv_nxt)


def window_opens(c):
    edge: uint32_t = _sayable(c, _space(c))
    step: uint64_t = c.tcp.config.receive_window // 2
    if step > 2 * cython.cast(uint32_t, c.rcv_mss):
        step = 2 * cython.cast(uint32_t, c.rcv_mss)
    return seq_lt(c.rcv_adv, edge) and seq_sub(edge, c.rcv_adv) >= step


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _complete(
    segment: Chain, header: cython.pointer(uint8_t), features: uint32_t, pseudo: uint64_t, mss: uint32_t
) -> cython.void:
    """The checksum, or what the device needs to make it, and to cut what is longer than `mss`."""
    length: uint32_t = cython.cast(uint32_t, segment.length - LOWER_HEADERS_BYTES)
    pseudo += swap32(length)
    if not features & FEATURE_CHECKSUM:
        (cython.cast(cython.pointer(uint16_t), header + OFFSET_CHECKSUM))[0] = ~fold(
            sum_chain(segment, LOWER_HEADERS_BYTES, pseudo)
        )
        return
    (cython.cast(cython.pointer(uint16_t), header + OFFSET_CHECKSUM))[0] = fold(pseudo)
    segment.offload.flags = CHECKSUM_PARTIAL
    segment.offload.csum_start = LOWER_HEADERS_BYTES
    segment.offload.csum_offset = OFFSET_CHECKSUM
    if length > mss + HEADER_BYTES_MIN and not header[OFFSET_FLAGS] & FLAG_SYN:
        segment.offload.gso_type = GSO_TCPV4
        segment.offload.gso_size = cython.cast(uint16_t, mss)
        segment.offload.header_length = LOWER_HEADERS_BYTES + HEADER_BYTES_MIN


@cython.cfunc
@cython.exceptval(-1, check=False)
def _send(tcp: TcpManager, path: Path, segment: Chain) -> cython.int:
    """Down to IP. 1: the device's ring is full."""
    if path.send(segment, _PROTOCOL):
        tcp.counts.segments_out += 1
        return 0
    tcp.counts.transmit_full += 1
    return 1


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _cut(c: Connection, segment: Chain, length: uint32_t) -> cython.bint:
    """Appends views of the queue's next `length` bytes and moves the cut on. False: no memory, nothing moved."""
    view: cython.pointer(iobuf_t) = c.cut_view
    at: cython.pointer(uint8_t) = c.cut_at
    fresh: cython.pointer(iobuf_t)
    piece: uint32_t
    if view == cython.NULL:
        view = c.send_queue.head
        at = view.data
    while True:
        piece = cython.cast(uint32_t, view.data + view.length - at)
        if piece:
            if piece > length:
                piece = length
            view.slot.references += 1
            fresh = new_iobuf(view.slot, at, piece)
            if fresh == cython.NULL:
                release_slot(view.slot)
                return False
            segment.append_view(fresh)
            at += piece
            length -= piece
            if length == 0:
                c.cut_view = view
                c.cut_at = at
                return True
        view = view.next
        at = view.data


@cython.cfunc
@cython.inline
@cython.exceptval(-1, check=False)
def _sent(c: Connection, sequence: uint32_t, end: uint32_t, now: uint64_t) -> cython.int:
    """What was sent takes up sequence numbers: it is timed, and awaits its acknowledgment."""
    c.snd_next_cut = end
    c.last_send = now
    if sequence == c.snd_nxt:
        c.snd_nxt = end
        if not c.flags & TIMING:
            c.flags |= TIMING
            c.timed_at = now
            c.timed_seq = end
    else:
        c.tcp.counts.retransmitted += 1
        c.flags &= ~TIMING
        if seq_lt(c.snd_nxt, end):
            c.snd_nxt = end
    if c.deadlines[TIMER_RETRANSMIT] == 0:
        # RFC 6298 (5.1)
        set_timer(c, TIMER_RETRANSMIT, now + c.rto)
    return 0


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _flags(c: Connection, sequence: uint32_t) -> uint32_t:
    """Of a segment that begins at `sequence`."""
    if c.flags & SND_URGENT and seq_lt(sequence, c.extras.snd_up):
        return FLAG_ACK | FLAG_URG
    return FLAG_ACK


@cython.cfunc
@cython.exceptval(-1, check=False)
def _transmit(c: Connection, sequence: uint32_t, length: uint32_t, flags: uint32_t, now: uint64_t) -> cython.int:
    """One segment with the queue's next `length` bytes and an acknowledgment; `flags` say whether a FIN is behind them,
    and urgent data ahead. 0: sent, and the cut moved on. Not 0: not sent, nothing changed; 1: the device's ring is
    full.
    """
    segment: Chain = c.tcp.segment
    view: cython.pointer(iobuf_t) = c.cut_view
    at: cython.pointer(uint8_t) = c.cut_at
    header: cython.pointer(uint8_t)
    window: uint32_t
    ahead: uint32_t
    end: uint32_t = seq_add(sequence, length + (flags & FLAG_FIN))
    # The last segment's chain, unless it waits somewhere, for an address say.
    if segment is None or Py_REFCNT(segment) != 2 or segment.head != cython.NULL:
        segment = Chain.__new__(Chain)
        c.tcp.segment = segment
    else:
        memset(cython.address(segment.offload), 0, cython.sizeof(offload_t))
    if length:
        if not _cut(c, segment, length):
            c.tcp.counts.exhausted += 1
            return _NO_SLOTS
        if seq_sub(end, c.snd_una) >= c.send_queue.length:
            # RFC 9293, 3.9.1 (MUST-60): the last segment of what was queued.
            flags |= FLAG_PSH
    window = _offer(c) >> c.rcv_wnd_shift
    header = push_header(segment, LOWER_HEADERS_BYTES + HEADER_BYTES_MIN, PLACE_TCP)
    if header == cython.NULL:
        c.tcp.counts.exhausted += 1
        c.cut_view = view
        c.cut_at = at
        return _NO_SLOTS
    header += LOWER_HEADERS_BYTES
    write(
        header,
        cython.cast(uint16_t, c.key.ports & 0xFFFF),
        cython.cast(uint16_t, c.key.ports >> 16),
        sequence,
        c.rcv_nxt,
        HEADER_BYTES_MIN,
        cython.cast(uint8_t, flags),
        cython.cast(uint16_t, window if window < 65535 else 65535),
    )
    if flags & FLAG_URG:
        # The next segments say where the mark is, if it is too far ahead for this one.
        ahead = seq_sub(c.extras.snd_up, sequence)
        store16(header + OFFSET_URGENT, cython.cast(uint16_t, ahead if ahead < 65535 else 65535))
    _complete(segment, header, c.path.features, c.pseudo, c.snd_mss)
    if not c.path.send(segment, _PROTOCOL):
        segment.drop_views()
        c.tcp.counts.transmit_full += 1
        c.cut_view = view
        c.cut_at = at
        return 1
    c.tcp.counts.segments_out += 1
    # Every segment carries the acknowledgment.
    if c.flags & (ACK_NOW | ACK_DELAYED):
        c.flags &= ~(ACK_NOW | ACK_DELAYED)
        stop_timer(c, TIMER_DELAYED_ACK)
    c.rcv_unacked = 0
    if flags & FLAG_FIN:
        c.flags |= FIN_SENT
    if end != sequence:
        return _sent(c, sequence, end, now)
    return 0


@cython.cfunc
@cython.exceptval(check=False)
def _override(c: Connection) -> uint64_t:
    # RFC 9293, 3.8.6.2.1: between 0.1 and 1 second.
    if c.rto < _OVERRIDE_LEAST:
        return _OVERRIDE_LEAST
    return c.rto if c.rto < _OVERRIDE_MOST else _OVERRIDE_MOST


def fit_path(c):
    mss: uint32_t = c.path.refresh_mtu() - 40
    c.snd_mss = cython.cast(uint16_t, mss if mss < c.max_snd_mss else c.max_snd_mss)
    return 0


def output(c, now):
    mss: uint32_t = c.snd_mss
    largest: uint32_t = mss
    window: uint32_t
    in_flight: uint32_t
    available: int64_t
    usable: int64_t
    length: uint32_t
    flags: uint32_t
    failed: cython.int
    if c.state < ESTABLISHED:
        # RFC 9293, 3.10.7.4, first, second and fourth: SYN_RECEIVED too acknowledges what it does not take.
        if c.state == SYN_RECEIVED and c.flags & ACK_NOW:
            failed = acknowledge(c)
            if failed:
                return _blocked(c, failed, now)
        return 0
    if c.snd_nxt == c.snd_una and c.send_queue.length and now - c.last_send > c.rto:
        c.congestion.idle(c)
        # RFC 1191, 6.3: it may have become larger.
        fit_path(c)
        mss = c.snd_mss
        largest = mss
    if c.send_queue.length > mss and c.path.features & FEATURE_TSO4 and not c.flags & SND_URGENT:
        largest = _MAXIMUM_TEXT - _MAXIMUM_TEXT % mss
    window = c.cwnd
    if c.duplicate_acks and not c.flags & IN_RECOVERY and c.duplicate_acks < 3 and c.snd_next_cut == c.snd_nxt:
        # RFC 3042: each of the first two duplicates lets one more segment out, of new data.
        window += c.duplicate_acks * mss
    if window > c.snd_wnd:
        window = c.snd_wnd
    while True:
        in_flight = seq_sub(c.snd_next_cut, c.snd_una)
        available = cython.cast(int64_t, c.send_queue.length) - in_flight
        if available < 0:
            break
        usable = cython.cast(int64_t, window) - in_flight
        length = cython.cast(uint32_t, available if available < largest else largest)
        if usable < length:
            length = cython.cast(uint32_t, usable) if usable > 0 else 0
        flags = FLAG_ACK
        if c.flags & (FIN_QUEUED | NAGLE | SND_URGENT):
            if c.flags & SND_URGENT and not seq_lt(c.snd_una, c.extras.snd_up):
                c.flags &= ~SND_URGENT
            flags = _flags(c, c.snd_next_cut)
            if length == available:
                if c.flags & FIN_QUEUED and (not c.flags & FIN_SENT or c.snd_next_cut != c.snd_nxt):
                    flags |= FLAG_FIN
                if c.flags & NAGLE and flags == FLAG_ACK and c.snd_next_cut == c.snd_nxt:
                    # RFC 9293, 3.7.4 (SHLD-7): with something unacknowledged only full segments go out.
                    if length >= mss:
                        length -= length % mss
                    elif c.snd_nxt != c.snd_una:
                        break
        if length < available:
            # RFC 9293, 3.8.6.2.1: whole segments, or what is a large part of the peer's buffer.
            if length >= mss:
                length -= length % mss
            elif length < c.max_snd_wnd // 2 or length == 0:
                if c.deadlines[TIMER_RETRANSMIT] == 0 and c.deadlines[TIMER_PERSIST] == 0:
                    # Nothing is on its way whose acknowledgment would open the window (RFC 9293, 3.8.6.1), or make a
                    # small one worth its while (3.8.6.2.1: the override time-out).
                    set_timer(c, TIMER_PERSIST, now + (_override(c) if c.snd_wnd else c.rto))
                break
        elif length == 0 and not flags & FLAG_FIN:
            break
        failed = _transmit(c, c.snd_next_cut, length, flags, now)
        if failed:
            return _blocked(c, failed, now)
        if length == available:
            break
    if c.flags & ACK_NOW:
        failed = acknowledge(c)
        if failed:
            return _blocked(c, failed, now)
    elif c.flags & ACK_DELAYED and c.deadlines[TIMER_DELAYED_ACK] == 0:
        set_timer(c, TIMER_DELAYED_ACK, now + c.tcp.config.delayed_ack)
    return 0


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _acceptable_sequence(c: Connection) -> uint32_t:
    """SND.NXT, but within the peer's window, else it drops the segment (RFC 9293, 3.10.7.4): a probe, or a window that
    shrank, put SND.NXT beyond."""
    edge: uint32_t = seq_add(c.snd_una, c.snd_wnd)
    return edge if c.state >= ESTABLISHED and seq_lt(edge, c.snd_nxt) else c.snd_nxt


def acknowledge(c):
    sequence: uint32_t = _acceptable_sequence(c)
    return _transmit(c, sequence, 0, _flags(c, sequence), 0)


def send_keepalive(c):
    # SHLD-12: without data. What is not in the window must be answered (3.10.7.4, first).
    c.tcp.counts.keepalive_probes += 1
    return _transmit(c, seq_sub(c.snd_nxt, 1), 0, FLAG_ACK, 0)


@cython.cfunc
@cython.exceptval(-1, check=False)
def _blocked(c: Connection, failed: cython.int, now: uint64_t) -> cython.int:
    if failed != _NO_SLOTS:
        return 1
    # A want of slots has no event that ends it: a timer tries again.
    if c.deadlines[TIMER_RETRANSMIT] == 0:
        set_timer(c, TIMER_RETRANSMIT, now + c.rto)
    if c.flags & (ACK_NOW | ACK_DELAYED) and c.deadlines[TIMER_DELAYED_ACK] == 0:
        set_timer(c, TIMER_DELAYED_ACK, now + c.tcp.config.delayed_ack)
    return 0


def retransmit(c, now):
    keep: uint32_t = c.snd_next_cut
    view: cython.pointer(iobuf_t) = c.cut_view
    at: cython.pointer(uint8_t) = c.cut_at
    length: uint32_t = c.snd_mss
    failed: cython.int
    if length > c.send_queue.length:
        length = cython.cast(uint32_t, c.send_queue.length)
    c.snd_next_cut = c.snd_una
    c.cut_view = cython.NULL
    c.deadlines[TIMER_RETRANSMIT] = 0
    flags: uint32_t = _flags(c, c.snd_una)
    if c.flags & FIN_SENT and length == c.send_queue.length:
        flags |= FLAG_FIN
    failed = _transmit(c, c.snd_next_cut, length, flags, now)
    if seq_lt(c.snd_next_cut, keep):
        c.snd_next_cut = keep
        c.cut_view = view
        c.cut_at = at
    if failed:
        set_timer(c, TIMER_RETRANSMIT, now + c.rto)
    return failed


def probe_window(c, now):
    length: uint32_t = 1
    if c.send_queue.length == 0 and not c.flags & FIN_QUEUED:
        return 0
    c.tcp.counts.window_probes += 1
    c.snd_next_cut = c.snd_una
    c.cut_view = cython.NULL
    # A window that is open, but was too small for output(), is used.
    if c.snd_wnd > 1:
        length = c.snd_wnd if c.snd_wnd < c.snd_mss else c.snd_mss
    if length > c.send_queue.length:
        length = cython.cast(uint32_t, c.send_queue.length)
    _transmit(c, c.snd_next_cut, length, _flags(c, c.snd_una) | (0 if length else FLAG_FIN), now)
    # RFC 9293, 3.8.6.1: probing goes on, with back-off, for as long as the peer answers.
    stop_timer(c, TIMER_RETRANSMIT)
    set_timer(c, TIMER_PERSIST, now + c.rto)
    return 0


def send_syn(c, now):
    segment: Chain = Chain.__new__(Chain)
    header: cython.pointer(uint8_t) = segment.prepend(
        LOWER_HEADERS_BYTES + HEADER_BYTES_MIN + SYN_OPTIONS_BYTES, PLACE_TCP
    )
    active: cython.bint = c.state == SYN_SENT
    window: uint64_t = c.tcp.config.receive_window
    if window > 65535:
        # RFC 7323, 2.2: the window of a SYN is not scaled.
        window = 65535
    set_timer(c, TIMER_RETRANSMIT, now + c.rto)
    if header == cython.NULL:
        c.tcp.counts.exhausted += 1
        return 1
    header += LOWER_HEADERS_BYTES
    if c.snd_nxt == c.iss:
        c.flags |= TIMING
        c.timed_at = now
        c.timed_seq = seq_add(c.iss, 1)
    else:
        # Karn's algorithm (RFC 6298, 3), also when the peer's SYN came again.
        c.flags &= ~TIMING
    c.snd_nxt = seq_add(c.iss, 1)
    write(
        header,
        cython.cast(uint16_t, c.key.ports & 0xFFFF),
        cython.cast(uint16_t, c.key.ports >> 16),
        c.iss,
        0 if active else c.rcv_nxt,
        HEADER_BYTES_MIN + SYN_OPTIONS_BYTES,
        FLAG_SYN if active else FLAG_SYN | FLAG_ACK,
        cython.cast(uint16_t, window),
    )
    # RFC 7323, 2.2: the option in a SYN and ACK only when the SYN had it.
    write_syn_options(
        header + HEADER_BYTES_MIN, c.rcv_mss, active or c.flags & WINDOW_SCALING, c.tcp.config.window_scale
    )
    _complete(segment, header, c.path.features, c.pseudo, c.snd_mss)
    return _send(c.tcp, c.path, segment)


@cython.cfunc
@cython.exceptval(-1, check=False)
def _send_bare(
    tcp: TcpManager, path: Path, ports: uint32_t, sequence: uint32_t, acknowledgment: uint32_t, flags: uint8_t
) -> cython.int:
    """A segment of a header only, without a window."""
    segment: Chain = Chain.__new__(Chain)
    header: cython.pointer(uint8_t) = segment.prepend(LOWER_HEADERS_BYTES + HEADER_BYTES_MIN, PLACE_TCP)
    if header == cython.NULL:
        tcp.counts.exhausted += 1
        return 1
    header += LOWER_HEADERS_BYTES
    write(
        header,
        cython.cast(uint16_t, ports & 0xFFFF),
        cython.cast(uint16_t, ports >> 16),
        sequence,
        acknowledgment,
        HEADER_BYTES_MIN,
        flags,
        0,
    )
    pseudo: uint64_t = sum_pseudo_header(ipv4_of(path.source), ipv4_of(path.destination), _PROTOCOL, 0)
    _complete(segment, header, path.features, pseudo, 65535)
    return _send(tcp, path, segment)


def send_reset(c):
    if c.state == CLOSED or c.state == TIME_WAIT or c.path is None:
        return 0
    c.tcp.counts.resets_out += 1
    return _send_bare(c.tcp, c.path, c.key.ports, _acceptable_sequence(c), c.rcv_nxt, FLAG_RST | FLAG_ACK)


def refuse(tcp, segment, info):
    # RFC 9293, 3.10.7.1
    path: Path
    length: uint32_t = segment.length
    if segment.flags & FLAG_RST:
        return 0
    path = network().path_between(info.key.local, info.key.remote)
    if path is None:
        return 0
    if tcp.config.ttl != DEFAULT_TTL:
        path.mark(tcp.config.ttl, 0)
    tcp.counts.resets_out += 1
    if segment.flags & FLAG_ACK:
        return _send_bare(tcp, path, segment.ports, segment.ack, 0, FLAG_RST)
    if segment.flags & FLAG_SYN:
        length += 1
    if segment.flags & FLAG_FIN:
        length += 1
    return _send_bare(tcp, path, segment.ports, 0, seq_add(segment.seq, length), FLAG_RST | FLAG_ACK)
