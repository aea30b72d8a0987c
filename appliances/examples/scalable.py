"""Scalable TCP (T. Kelly, "Scalable TCP: improving performance in highspeed wide area networks", CCR 33(2), 2003).

After a loss it is back in the same number of round trips whatever the window is; Reno needs one for each segment.
"""

from netapp.tcp.congestion.reno import Reno
from netapp.tcp.connection import Connection

LARGEST = 1 << 30


class Scalable(Reno):
    """Reno's slow start, recovery and time-outs. Above ssthresh the window grows by a hundredth of what is
    acknowledged; a loss takes an eighth of it."""

    def acknowledged(self, c: Connection, acked: int) -> None:
        if c.cwnd < c.ssthresh:
            c.cwnd += min(acked, 2 * c.snd_mss)
        elif c.cwnd < LARGEST:
            # Its a = 0.01; the rest is kept for the next acknowledgment.
            c.bytes_acked += acked
            c.cwnd += c.bytes_acked // 100
            c.bytes_acked = c.bytes_acked % 100

    def loss_detected(self, c: Connection) -> None:
        # Its b = 0.125; at least two segments, and the three that duplicates stand for (RFC 6582, 3.2, step 3).
        window = min(c.flight_size, c.cwnd)
        c.ssthresh = max(window - window // 8, 2 * c.snd_mss)
        c.cwnd = c.ssthresh + 3 * c.snd_mss
