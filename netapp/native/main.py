"""The program of a boot image, which is the same as a Linux process and on bare metal.

    IMAGE [OPTIONS] [-- APPLIANCE OPTIONS]

On bare metal the words are those of the kernel command line. They go before what was baked in. Exit status 0, 1 (failed
at run time) or 2 (bad usage); an error is one line.
"""

from __future__ import annotations

import gc
import logging
import os
import re
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

import _netapp_image  # type: ignore[import-not-found]

from netapp.native.config import ImageOptions
from netapp.native.platform import is_native
from netapp.native.words import Shown, UsageError, kinds, made, split, values_of
from netapp.node.appliance import Appliance
from netapp.node.config import NodeConfig
from netapp.node.console import banner, closing_line, reason, set_up_logging, status_line
from netapp.node.node import Node

if TYPE_CHECKING:
    from netapp.native.bare import Bare
    from netapp.native.process import Process

_log = logging.getLogger("netapp.native")

# Words that hypervisors add for Linux: virtio_mmio.device=…, console=…, pci=off.
_FOR_LINUX = re.compile(r"[a-z][\w.]*=\S*$")


def prepare() -> None:
    """What every bare machine has to do, for the image's snapshot. Clock, random numbers and command line are not those
    of any machine yet."""
    import netapp.native.bare  # noqa: F401

    del sys.argv[1:]  # for the appliance's modules: those of the machine are not known yet
    for options in (ImageOptions, _appliance().Options):
        kinds(options)
    sys.stdout.flush()  # otherwise what modules printed would be printed again, by every machine
    gc.collect()
    gc.freeze()


def resume(words: list[str]) -> None:
    """On the machine that goes on from there."""
    sys.argv = words
    if "random" in sys.modules:  # seeded when it was imported
        sys.modules["random"].seed()


def main() -> int:
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # a serial port is no terminal to Python
    found = _appliance()
    own, appliances = split([word for word in sys.argv[1:] if not (is_native() and _FOR_LINUX.match(word))])
    baked, appliances_baked = split(_netapp_image.WORDS)
    usage = f"usage: {found.name} [OPTIONS] [-- APPLIANCE OPTIONS]: {found.description()}"
    try:
        options = _options(ImageOptions, baked, own, usage)
        appliance = found(_options(found.Options, appliances_baked, appliances, f"usage: {found.name} -- [OPTIONS]"))
    except Shown as text:
        _show(str(text))
        return 0
    except UsageError as error:
        print(f"netapp: {error}", file=sys.stderr)
        return 2
    set_up_logging(options.verbose)
    try:
        _serve(options, appliance)
    except KeyboardInterrupt:
        return 1
    except Exception as error:
        if options.verbose >= 2:
            _log.exception("it ends")
        print(f"netapp: {reason(error)}", file=sys.stderr)
        return 1
    return 0


def _show(text: str) -> None:
    """On a pipe perhaps, whose reader needs no more than its beginning."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is left in its buffer


def _appliance() -> type[Appliance]:
    module, _, kind = _netapp_image.APPLIANCE.partition(":")
    found: type[Appliance] = getattr(import_module(module), kind)
    found.name = _netapp_image.NAME
    return found


def _options(config: type, baked: Sequence[str], given: Sequence[str], title: str) -> Any:
    return made(config, values_of(config, baked, title) | values_of(config, given, title))


def _machine(options: ImageOptions) -> AbstractContextManager[Bare | Process]:
    """Only that which it is is imported."""
    if is_native():
        from netapp.native.bare import bare

        return bare()
    from netapp.native.process import process

    return process(options)


def _serve(options: ImageOptions, appliance: Appliance) -> None:
    """Until it is told to end."""
    with _machine(options) as machine:
        pool = machine.pool_bytes(appliance.pool_bytes())
        config = NodeConfig(
            interfaces=(options.interface(),),
            tcp=machine.tcp(pool),
            routes=options.routes(),
            pool_bytes=pool,
        )
        node = Node(machine.platform, machine.device, appliance, config)
        try:
            node.start()
            # Not in the midst of whatever the signal interrupted: in a later turn. The second one does not wait.
            with machine.told(
                lambda: node.events.spawn(node.stop),
                lambda taken: node.events.spawn(lambda: print(status_line(node, taken), flush=True)),
            ):
                address = options.address[0].partition("/")[0]
                print(*banner(node, type(appliance).name, address, machine.wire, machine.ends), sep="\n", flush=True)
                node.run()
            print(closing_line(node), flush=True)
        finally:
            node.close()
        machine.check()
