"""NewReno."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.libc.stdint import uint32_t
from cython.cimports.netapp.tcp.connection import Connection
from cython.cimports.netapp.tcp.sequence import seq_sub

_LIMIT = cython.declare(uint32_t, 1 << 30)


@cython.cfunc
@cython.exceptval(check=False)
def _initial_window(c: Connection) -> uint32_t:
    # RFC 6928, 2: min(10 * MSS, max(2 * MSS, 14600)).
    mss: uint32_t = c.snd_mss
    floor: uint32_t = 2 * mss if 2 * mss > 14600 else 14600
    return 10 * mss if 10 * mss < floor else floor


@cython.cfunc
@cython.exceptval(check=False)
def _half(c: Connection, flight: uint32_t) -> uint32_t:
    # RFC 5681, equation (4): max(FlightSize / 2, 2 * SMSS).
    half: uint32_t = flight // 2
    return half if half > 2 * cython.cast(uint32_t, c.snd_mss) else 2 * cython.cast(uint32_t, c.snd_mss)


class Reno:
    def start(self, c):
        c.cwnd = _initial_window(c)
        c.ssthresh = _LIMIT
        # RFC 5681, 3.1: a SYN that was lost leaves a window of one segment.
        if c.backoff:
            c.cwnd = c.snd_mss
        return 0

    def acknowledged(self, c, acked):
        most: uint32_t = c.snd_mss
        if c.cwnd >= _LIMIT:
            return 0
        if c.cwnd < c.ssthresh:
            # RFC 5681, equation (2). RFC 3465, 2.2 and 2.3: at most two segments an acknowledgment (L = 2), but one
            # where something was lost before.
            if c.ssthresh >= _LIMIT:
                most *= 2
            c.cwnd += acked if acked < most else most
            return 0
        # RFC 5681, 3.1: one segment a window, counted in bytes (RFC 3465, 2.1).
        c.bytes_acked += acked
        if c.bytes_acked >= c.cwnd:
            c.bytes_acked -= c.cwnd
            c.cwnd += c.snd_mss
        return 0

    def loss_detected(self, c):
        # RFC 6582, 3.2, steps 2 and 3. What limited transmit sent beyond cwnd does not count (RFC 5681, 3.2, step 2).
        flight: uint32_t = seq_sub(c.snd_nxt, c.snd_una)
        c.ssthresh = _half(c, flight if flight < c.cwnd else c.cwnd)
        c.cwnd = c.ssthresh + 3 * cython.cast(uint32_t, c.snd_mss)
        return 0

    def duplicate(self, c):
        # RFC 5681, 3.2, step 4: the segment that left the network makes room for another.
        if c.cwnd < _LIMIT:
            c.cwnd += c.snd_mss
        return 0

    def partial(self, c, acked):
        # RFC 6582, 3.2, step 5: deflate by what was acknowledged, add back a segment.
        c.cwnd = c.cwnd - acked if c.cwnd > acked else 0
        if acked >= c.snd_mss:
            c.cwnd += c.snd_mss
        if c.cwnd < c.snd_mss:
            c.cwnd = c.snd_mss
        return 0

    def recovered(self, c):
        # RFC 6582, 3.2, step 5, option 1: no burst after the full acknowledgment.
        flight: uint32_t = seq_sub(c.snd_nxt, c.snd_una)
        room: uint32_t = (flight if flight > c.snd_mss else c.snd_mss) + c.snd_mss
        c.cwnd = c.ssthresh if c.ssthresh < room else room
        c.bytes_acked = 0
        return 0

    def timed_out(self, c):
        # RFC 5681, 3.1: ssthresh is not lowered again when the same segment is lost again.
        if c.timeouts == 0:
            c.ssthresh = _half(c, seq_sub(c.snd_nxt, c.snd_una))
        c.cwnd = c.snd_mss
        c.bytes_acked = 0
        return 0

    def idle(self, c):
        # RFC 5681, 4.1: after an idle time-out, not above the restart window.
        initial: uint32_t = _initial_window(c)
        if c.cwnd > initial:
            c.cwnd = initial
        return 0
