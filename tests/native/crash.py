"""An appliance that ends its machine, in one of several ways, or soon after it has told its secrets."""

import faulthandler
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from netapp.node.appliance import Appliance
from netapp.node.node import Node
from netapp.tcp.handler import TcpHandler

IMPORTED, WORDS = time.time(), list(sys.argv)
print("imported")  # when the image is built, and by no machine


def recurse() -> None:
    """As deep as Python lets it, by functions in C that take much of the stack."""

    class Compared:
        def __lt__(self, other: object) -> bool:
            return bool(sorted([self, other])[0])  # type: ignore[type-var]

    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    for function in (lambda: repr(nested), lambda: Compared() < Compared()):
        try:
            function()
        except RecursionError:
            print("too deep")


def do_without() -> None:
    """What this machine has not, a program may ask for."""
    for function in (
        threading.Thread(target=print).start,
        lambda: open("/etc/passwd"),
        lambda: open("/new", "w"),
        os.pipe,
    ):
        try:
            function()
        except (OSError, RuntimeError) as error:
            print(error)


def fill() -> None:
    held = []
    while True:
        held.append(bytearray(1 << 20))


WAYS: dict[str, Callable[[], object]] = {
    "null": faulthandler._read_null,  # type: ignore[attr-defined]
    "stack": faulthandler._stack_overflow,  # type: ignore[attr-defined]
    "abort": faulthandler._sigabrt,  # type: ignore[attr-defined]
    "call": os.setsid,
    "fill": fill,
    "recurse": recurse,
    "without": do_without,
    "exit": lambda: sys.exit(5),
    "tell": lambda: None,
}


class Last(TcpHandler):
    """When it is connected, the machine ends."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def connected(self) -> None:
        self.node.stop()


class Crash(Appliance):
    """End this machine."""

    @dataclass(frozen=True)
    class Options(Appliance.Options):
        way: str = field(default="null", metadata={"help": "how", "choices": tuple(WAYS)})

    options: Options

    def start(self) -> None:
        if self.options.way == "tell":
            print(random.getrandbits(64), os.urandom(8).hex(), time.time(), IMPORTED, len(WORDS), sys.argv)
            self.tcp.connect("10.99.0.100", 7, partial(Last, self.node))
            return
        self.take(WAYS[self.options.way])

    def take(self, way: Callable[[], object]) -> None:
        way()
        self.node.stop()
