"""What a program that runs a node says: log lines, a banner, and counters at the end."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping

from netapp.node.node import Node

_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


class _Format(logging.Formatter):
    """One line a record; tracebacks only where they were asked for."""

    def __init__(self, tracebacks: bool) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self.tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        if self.tracebacks or not record.exc_info or record.exc_info[1] is None:
            return super().format(record)
        error = record.exc_info[1]
        told, record.exc_info, record.exc_text = record.exc_info, None, None
        try:
            return f"{super().format(record)}: {type(error).__name__}: {error}"
        finally:
            record.exc_info = told


def set_up_logging(verbose: int) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_Format(tracebacks=verbose >= 2))
    root = logging.getLogger("netapp")
    root.handlers = [handler]
    root.setLevel(_LEVELS[min(verbose, 2)])


def reason(error: Exception) -> str:
    """Of a failure, on one line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror and not error.filename else str(error)
    if isinstance(error, MemoryError) and not text:
        text = "too little memory"
    return " ".join((text or type(error).__name__).split())


def banner(node: Node, name: str, address: str, wire: str, ends: str) -> Iterator[str]:
    """Lines: where the appliance is, by which `wire`, and what `ends` it."""
    appliance = node.appliance
    assert appliance is not None
    ports = ", ".join(f"port {listener.port}" for listener in node.tcp.listening())
    where = f"{address}, {ports}" if ports else address
    yield f"netapp: {name} on {where}; {wire}"
    hint = appliance.hint(address)
    if hint:
        yield f"netapp: from another shell: {hint}"
    yield f"netapp: {ends} ends it"


def closing_line(node: Node) -> str:
    device = node.devices[0].counters()
    tcp, polling = node.tcp.counters(), node.polling.counters()
    network = node.network.counters()
    dropped = sum(
        value
        for counters in (tcp, network, device)
        for name, value in counters.items()
        if "dropped" in name or name in ("rx_no_slots", "rx_malformed", "tx_errors", "tx_link_down")
    )
    switches = polling["to_polling"] + polling["to_interrupt"]
    return (
        f"netapp: frames {device['rx_frames']} in, {device['tx_frames']} out; connections {tcp['accepts']};"
        f" retransmitted {tcp['retransmitted']}; dropped {dropped}; interrupts {polling['interrupts']},"
        f" polls {polling['polls']}, switches {switches}"
    )


def status_line(node: Node, interrupts: Mapping[str, int]) -> str:
    """What it did so far, by its own clock. `interrupts`: how many were taken, by what they were of; where that is not
    known, it is those that ended a sleep of a device's poller: others come while it polls anyway."""
    device, polling, events = node.devices[0].counters(), node.polling.counters(), node.events.counters()
    taken = interrupts or {"devices": polling["to_polling"]}
    return (
        f"netapp: at {node.events.now / 1e9:.6f} s, busy for {time.process_time():.6f}:"
        f" interrupts {', '.join(f'{count} of {what}' for what, count in taken.items())};"
        f" polls {polling['polls']}, {polling['polls_empty']} empty;"
        f" switches {polling['to_polling'] + polling['to_interrupt']}; timers {events['timers_fired']};"
        f" frames {device['rx_frames']} in, {device['tx_frames']} out"
    )
