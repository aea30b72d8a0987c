"""What an appliance is to a node. Subclass it; `netapp run` finds the class in its module or by its entry point."""

from __future__ import annotations

import logging
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from netapp.event.contracts import WallClock
    from netapp.event.manager import EventManager
    from netapp.event.timer import TimerWheel
    from netapp.net.udp import UdpManager
    from netapp.node.node import Node
    from netapp.tcp.manager import TcpManager

POOL_BYTES = 64 << 20


def text_of(module: str, name: str) -> str:
    """A text file that lies beside a module, in a boot image too, where there are no other files."""
    data = pkgutil.get_data(module, name)
    assert data is not None
    return data.decode()


class Appliance:
    """The program on top of the stack. The first line of a subclass's docstring is what `netapp list` says of it.

    The attributes are there from before start() until the node is closed. `tcp`, `udp`, `events` and `timers` are
    looked up each time, for they may be rebound: what outlives an event keeps the appliance, not them.
    """

    @dataclass(frozen=True)
    class Options:
        """What `netapp run NAME -- …` takes; a subclass has its own frozen dataclass of this name.

        A field's metadata: `help`; `flags`, such as ("-p", "--port"), without which the flag is the field's name;
        `range`, the least and the greatest number; `parse`, which makes the value of a text or raises ValueError, and
        `shown`, the text of the default; and what netapp/cli/options.py lists.
        """

    options: Options
    wall_clock: WallClock
    log: logging.Logger
    node: Node

    name: ClassVar[str] = ""

    def __init__(self, options: Options | None = None) -> None:
        self.options = type(self).Options() if options is None else options

    @property
    def tcp(self) -> TcpManager:
        return self.node.tcp

    @property
    def udp(self) -> UdpManager:
        return self.node.udp

    @property
    def events(self) -> EventManager:
        return self.node.events

    @property
    def timers(self) -> TimerWheel:
        return self.node.timers

    @classmethod
    def description(cls) -> str:
        own = cls.__doc__ if "__doc__" in vars(cls) else None
        return own.strip().splitlines()[0] if own and own.strip() else ""

    def pool_bytes(self) -> int:
        """How large a buffer pool it wants."""
        return POOL_BYTES

    def start(self) -> None:
        """Begins to listen, or to connect."""
        raise NotImplementedError(f"{type(self).__name__}.start")

    def stop(self) -> None:
        """The node is about to end: listeners, connections and sockets are closed after this call. Gives back what it
        holds."""

    def hint(self, address: str) -> str:
        """How to try it from another shell; empty: nothing is said."""
        return ""
