"""The names that `%{ … }%` knows: state of the connection that the script spoke of last, and counters."""

from __future__ import annotations

from collections.abc import Iterable
from types import CodeType
from typing import Any

from netapp.tcp.connection import Connection
from tests.packets.flows import Flow
from tests.packets.host import Host
from tests.packets.sockets import Stream

# Linux's constants, for tcpi_state.
_CONSTANTS = {
    "TCP_ESTABLISHED": 1,
    "TCP_SYN_SENT": 2,
    "TCP_SYN_RECV": 3,
    "TCP_FIN_WAIT1": 4,
    "TCP_FIN_WAIT2": 5,
    "TCP_TIME_WAIT": 6,
    "TCP_CLOSE": 7,
    "TCP_CLOSE_WAIT": 8,
    "TCP_LAST_ACK": 9,
    "TCP_CLOSING": 11,
}
_LINUX_NAMES = {"SYN_RECEIVED": "SYN_RECV", "FIN_WAIT_1": "FIN_WAIT1", "FIN_WAIT_2": "FIN_WAIT2", "CLOSED": "CLOSE"}

# packetdrill's names for attributes of a Connection, and how many of ours one of theirs is; 0: a segment.
_TCP_INFO = {
    "tcpi_snd_cwnd": ("cwnd", 0),
    "tcpi_snd_ssthresh": ("ssthresh", 0),
    "tcpi_rto": ("rto", 1000),
    "tcpi_rtt": ("srtt", 1000),
    "tcpi_rttvar": ("rttvar", 1000),
    "tcpi_snd_mss": ("snd_mss", 1),
    "tcpi_backoff": ("backoff", 1),
}
# RFC 9293's names, as Connection has them.
_ATTRIBUTES = "queued urgent_left cwnd ssthresh srtt rttvar rto backoff".split()
_ATTRIBUTES += "snd_una snd_nxt snd_wnd snd_mss rcv_nxt rcv_adv".split()


class Unmapped(Exception):
    """A name of TCP state that cannot be read from here."""


def names(code: CodeType, host: Host, flow: Flow | None, stream: Stream | None) -> dict[str, Any]:
    """Of what the code mentions, all that is known here."""
    found: dict[str, Any] = {}
    for name in set(_mentioned(code)):
        if name in _CONSTANTS:
            found[name] = _CONSTANTS[name]
        elif name in ("state", "tcpi_state"):
            connection = _connection(host, flow)
            state = connection.state_name if connection is not None else "CLOSED"
            found[name] = state if name == "state" else _CONSTANTS["TCP_" + _LINUX_NAMES.get(state, state)]
        elif name == "counters":
            found[name] = host.tcp.counters()
        elif name == "network_counters":
            found[name] = host.network.counters()
        elif name in ("urgent_told", "delays") and stream is not None:
            found[name] = getattr(stream, name)
        elif name == "connections":
            found[name] = len(host.tcp.connections())
        elif name in _TCP_INFO or name in _ATTRIBUTES:
            found[name] = _attribute(host, flow, name)
        elif name.startswith("tcpi_"):
            raise Unmapped(f"{name}: nothing here corresponds to it")
    return found


def _mentioned(code: CodeType) -> Iterable[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _mentioned(inner)


def _connection(host: Host, flow: Flow | None) -> Connection | None:
    connections: list[Connection] = host.tcp.connections()
    for one in connections:
        if flow is not None and (one.remote[1], one.local[1]) == (flow.peer_port, flow.our_port):
            return one
    return None


def _attribute(host: Host, flow: Flow | None, name: str) -> int:
    connection = _connection(host, flow)
    if connection is None:
        raise Unmapped(f"{name}: there is no connection")
    attribute, unit = _TCP_INFO.get(name, (name, 1))
    wanted = (attribute, "snd_mss") if unit == 0 else (attribute,)
    values: list[int] = [getattr(connection, one) for one in wanted if hasattr(connection, one)]
    if len(values) < len(wanted):
        raise Unmapped(f"{name}: Connection has no attribute {attribute} that could be read")
    return values[0] // (unit or values[1])
