"""`netapp run`: an appliance on a tap device."""

from __future__ import annotations

import errno
import ipaddress
import json
import logging
import math
import os
import re
import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import click

from netapp.cli.find import find_appliance, from_sources, package_of
from netapp.cli.options import options_of, taken
from netapp.drivers.capture import CaptureDevice
from netapp.drivers.device import Device
from netapp.drivers.faults import FaultDevice
from netapp.drivers.tap_queue import TapError
from netapp.hosted.counter import measuring_clock
from netapp.hosted.platform import EpollInterrupts, MonotonicClock, RealWallClock, SystemEntropy
from netapp.hosted.signals import Signals
from netapp.hosted.tap_setup import host_tap
from netapp.node.appliance import Appliance
from netapp.node.breakdown import Breakdown, table
from netapp.node.config import NodeConfig
from netapp.node.console import banner, closing_line, status_line
from netapp.node.node import Node
from netapp.node.options import NetworkOptions, option
from netapp.node.platform import Platform

_log = logging.getLogger("netapp.cli")


def probability(text: str) -> float:
    """0.01 or 1%."""
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ValueError(f"{text!r} is no probability, such as 0.01 or 1%")
    return value


def duration(text: str) -> int:
    """10ms, 50us, 0.1s; alone a number is milliseconds. In ns."""
    found = re.fullmatch(r"(\d+\.?\d*|\.\d+)(ns|us|ms|s|)", text)
    unit = {"ns": 1, "us": 1_000, "ms": 1_000_000, "": 1_000_000, "s": 1_000_000_000}
    value = float(found[1]) * unit[found[2]] if found else math.inf
    if value >= 2**63:
        raise ValueError(f"{text!r} is no time, such as 10ms, 50us or 0.1s")
    return round(value)


def check_neighbours(host_address: str, options: NetworkOptions) -> None:
    """ValueError: the host and the appliance cannot talk to each other."""
    own = options.interface().parsed_address()
    try:
        host = ipaddress.IPv4Interface(host_address)
    except ValueError:
        raise ValueError(f"{host_address!r} is no IPv4 address with prefix, as in 10.99.0.1/24") from None
    if host.network != own.network or host.ip == own.ip:
        raise ValueError(f"{host_address} and {options.address[0]} are not two addresses of one network")


@dataclass(frozen=True)
class TapConfig(NetworkOptions):
    tap: str = option("netapp0", "tap device; made if there is none, and gone afterwards", metavar="NAME")
    host_address: str = option("10.99.0.1/24", "this host's address on the tap", metavar="ADDRESS/PREFIX")
    io: str = option("auto", "how frames are read and written", choices=("auto", "rw", "uring"))
    capture: str | None = option(None, "record every frame in this pcapng file", metavar="FILE")
    breakdown: str | None = option(
        None, "measure where requests' time goes; printed at the end, and on SIGUSR1", choices=("table", "json")
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_neighbours(self.host_address, self)


def _probability(help_text: str) -> Any:
    return option(0.0, help_text, parse=probability, metavar="P", shown="0")


@dataclass(frozen=True)
class FaultConfig:
    """What the wire does to frames, both ways."""

    drop: float = _probability("probability that a frame is lost")
    duplicate: float = _probability("probability that a frame comes twice")
    reorder: float = _probability("probability that a frame is overtaken by others")
    corrupt: float = _probability("probability that a bit of a frame is flipped")
    delay: int = option(0, "time that every frame takes", parse=duration, metavar="T", shown="0")
    seed: int = option(1, "what happens depends on it and on the frames alone")

    def __bool__(self) -> bool:
        return bool(self.drop or self.duplicate or self.reorder or self.corrupt or self.delay)


def appliance_options(found: type[Appliance], arguments: Sequence[str]) -> Appliance.Options | None:
    """Parses what stands after `--`; None: help was asked for and printed. Raises click.UsageError."""
    command = click.Command(
        f"run {found.name} --",
        params=list(options_of(found.Options)),
        help=found.description(),
        context_settings={"help_option_names": ["-h", "--help"]},
        options_metavar="[OPTIONS]",
    )
    try:
        with command.make_context(f"netapp run {found.name} --", list(arguments)) as context:
            return taken(found.Options, context.params)
    except click.exceptions.Exit:
        return None
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def run(name: str, tap: TapConfig, faults: FaultConfig, uncompiled: bool, arguments: Sequence[str]) -> None:
    """Until a signal comes, or the tap goes away."""
    with ExitStack() as stack:
        if uncompiled and (package := package_of(name)):
            stack.enter_context(from_sources(package))
        found = find_appliance(name)
        options = appliance_options(found, arguments)
        if options is None:
            return
        interrupts = EpollInterrupts()
        stack.callback(interrupts.close)
        platform = Platform(MonotonicClock(), RealWallClock(), SystemEntropy(), interrupts)
        opened = stack.enter_context(host_tap(tap.tap, tap.host_address, vlan=tap.vlan, io=tap.io))
        if opened.no_uring is not None:
            _log.warning("%s; frames go by readv and writev", opened.no_uring)
        device: Device = opened
        if faults:
            device = FaultDevice(device, **vars(faults))
        if tap.capture is not None:
            device = CaptureDevice(device, tap.capture, platform.wall_clock)
        breakdown = Breakdown(measuring_clock()) if tap.breakdown else None
        if breakdown:
            device = breakdown.device(device)
        config = NodeConfig(interfaces=(tap.interface(),), routes=tap.routes())
        node = Node(platform, device, found(options), config)
        stack.callback(node.close)
        node.start()
        tell: Callable[[], None] = partial(_show_status, node)
        if breakdown:
            breakdown.install(node)
            # What was measured since the last time.
            tell = partial(_show_breakdown, breakdown, tap.breakdown == "json")
        stack.enter_context(Signals(interrupts, lambda: node.events.spawn(tell), (signal.SIGUSR1,)))
        said = "%s: MTU %d, features %#x, io %s; pool %d MiB"
        _log.info(said, device.name, device.mtu, device.features, opened.io, _pool_mib(node))
        opened.when_removed = lambda: node.events.spawn(partial(node.stop, 0))
        # Not in the midst of whatever the signal interrupted: in a later turn. The second one does not wait.
        with Signals(interrupts, lambda: node.events.spawn(node.stop)):
            address = tap.address[0].partition("/")[0]
            vlan = "" if tap.vlan is None else f", VLAN {tap.vlan}"
            wire = f"tap {tap.tap}{vlan}, this host {tap.host_address}"
            print(*banner(node, found.name, address, wire, f"Ctrl-C, or kill {os.getpid()},"), sep="\n", flush=True)
            node.run()
        if breakdown:
            _show_breakdown(breakdown, tap.breakdown == "json")
        print(closing_line(node), flush=True)
        if opened.gone:
            raise TapError(errno.ENODEV, f"the tap device {tap.tap} was removed")


def _pool_mib(node: Node) -> int:
    return node.pool.free_bytes() >> 20


def _show_status(node: Node) -> None:
    print(status_line(node, {}), flush=True)


def _show_breakdown(breakdown: Breakdown, as_json: bool) -> None:
    report = breakdown.report()
    print(json.dumps(report) if as_json else table(report), flush=True)
    breakdown.restart()
