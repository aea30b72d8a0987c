"""The image's runs: as a Linux process, as one that is limited as the bare machine is, and on the bare machine."""

from __future__ import annotations

import os
import re
import selectors
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from netapp.hosted.qemu import EMULATED
from tests.support import guests

_TOLD = re.compile(rb"\x02(\w+) ([^\x03]*)\x03")
_PATIENCE = 300  # s that a test may take
_MEMORY = 1024  # MiB, of which a test of test_compile takes 670
_LINE = 3000  # characters of a kernel command line

ENDED = "end"  # how a test ended in which the program ended, or was ended


class Outcome(NamedTuple):
    kind: str  # ok, skip, fail, error, end
    why: str


Outcomes = dict[str, Outcome]  # by a test's name
Command = Callable[[Sequence[str]], list[str]]  # of the image, given its words


def hosted(image: Path) -> Command:
    return _under("clock", image)


def limited(image: Path) -> Command:
    return _under("all", image)


def _under(limits: str, image: Path) -> Command:
    launcher = Path(__file__).with_name("limits.py")
    return lambda words: [sys.executable, "-I", "-S", str(launcher), limits, str(image), *words]


def bare(image: Path, processor: int) -> Command:
    """On one processor: QEMU's guest has the clock of whichever it runs on."""
    return lambda words: ["taskset", "-c", str(processor), *guests.command(image, *words, memory=_MEMORY, cpu=EMULATED)]


def run(command: Command, modules: Sequence[str], folder: str = "/") -> Outcomes:
    """All tests of the modules, in their order; where one ends the program, from the next one on again."""
    found: Outcomes = {}
    left = list(modules)
    while left:
        words = left[:1]
        while len(words) < len(left) and sum(map(len, words)) + len(words) < _LINE:
            words.append(left[len(words)])
        output, status = _output(command(words), folder)
        last = _read(output, found)
        if last is None:
            del left[: len(words)]
            continue
        name, module, number = last
        rest = output[output.rfind(b"\x03") + 1 :].decode(errors="replace").split("\n")
        said = next((line for line in rest if line.strip()), "")
        found[name] = Outcome(ENDED, said.strip() or f"status {status}")
        done = words.index(next(word for word in words if word.partition(":")[0] == module))
        left = [*([f"{module}:{number + 1}"] if number else []), *left[done + 1 :]]
    return found


def _read(output: bytes, found: Outcomes) -> tuple[str, str, int] | None:
    """Fills in `found`. The test in which the program ended, its module and number; None: it came to its end."""
    module, name, number, pending = "", "", 0, False
    for kind, text in ((one[1].decode(), one[2].decode()) for one in _TOLD.finditer(output)):
        if kind == "module":
            module, name, number, pending = text, text, 0, True
        elif kind == "test":
            digits, _, name = text.partition(" ")
            number, pending = int(digits) or number, True
        elif kind == "end":
            return None
        else:
            found[name] = Outcome(kind, text)
            pending = False
    if not pending:
        name = f"{module}, after number {number}"
    return name, module, number


def _output(command: list[str], folder: str) -> tuple[bytes, int]:
    """All that it writes, and its status; it is killed if it writes nothing for long."""
    output = b""
    process = subprocess.Popen(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    with process, selectors.DefaultSelector() as selector:
        assert process.stdout is not None
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(_PATIENCE):
                process.kill()
                output += b"\nit took too long\n"
                break
            read = os.read(process.stdout.fileno(), 1 << 16)
            if not read:
                break
            output += read
    return output, process.returncode
