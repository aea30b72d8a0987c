"""Configuration of TCP."""

from dataclasses import dataclass, field

MILLISECOND = 1_000_000
SECOND = 1_000_000_000


def _option(default: int, help_text: str) -> int:
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True)
class TcpConfig:
    """Times are nanoseconds, sizes bytes."""

    receive_window: int = _option(256 << 10, "bytes that a connection's peer may have on the way or unread")
    send_limit: int = _option(1 << 20, "bytes queued on a connection above which its appliance is not fed")
    send_limit_total: int = _option(
        256 << 20,
        "bytes queued on all connections above which only those that owe nothing are fed; with twice as many those that"
        " take nothing are reset, with five times as many nobody is fed; at most half of the pool",
    )
    backlog: int = _option(1024, "half-open connections of a listener")
    max_connections: int = _option(1 << 20, "connections of all states")
    minimum_rto: int = _option(200 * MILLISECOND, "least retransmission time-out; RFC 6298 (2.4) says 1 s")
    initial_rto: int = _option(SECOND, "retransmission time-out before the first measurement")
    maximum_rto: int = _option(60 * SECOND, "greatest retransmission time-out")
    delayed_ack: int = _option(40 * MILLISECOND, "longest wait of an acknowledgment for data to ride on")
    give_up: int = _option(120 * SECOND, "time without an answer after which a connection is given up (R2)")
    syn_give_up: int = _option(180 * SECOND, "the same while connecting")
    syn_received_give_up: int = _option(30 * SECOND, "the same for a half-open connection that a peer began")
    ttl: int = _option(64, "time to live of the packets that are sent")
    time_wait: int = _option(60 * SECOND, "stay in TIME-WAIT, twice the maximum segment lifetime")
    fin_wait_2: int = _option(60 * SECOND, "silence of a peer that has not closed after which it is given up")

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value <= 0:
                raise ValueError(f"TcpConfig.{name} is {value}: it must be positive")
        if self.receive_window > 1 << 30:
            raise ValueError("TcpConfig.receive_window: at most 1 GiB (RFC 7323, 2.3)")
        if self.delayed_ack > SECOND // 2:
            raise ValueError("TcpConfig.delayed_ack: at most 500 ms (RFC 9293, 3.8.6.3)")
        if self.ttl > 255:
            raise ValueError("TcpConfig.ttl: at most 255")
        if not self.minimum_rto <= self.initial_rto <= self.maximum_rto:
            raise ValueError("TcpConfig: minimum_rto <= initial_rto <= maximum_rto does not hold")
