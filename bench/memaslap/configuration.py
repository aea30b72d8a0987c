"""memaslap's configuration file: lengths of keys and values, and the mix of commands.

    # a comment
    key
    16 100 0.8          # least and most bytes, part of all
    101 250 0.2
    value
    100 1024 1
    cmd
    0 0.1               # set
    1 0.9               # get

What memaslap takes for something else, or for nothing, without a word, is refused here.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

UNIT = 1024  # objects of a window in which lengths have their parts
KEY_BYTES = (16, 250)
VALUE_BYTES = (1, 1 << 20)
_SECTIONS = ("key", "value", "cmd")
_TOLERANCE = 0.0015  # of parts with three decimal places


class BadConfiguration(ValueError):
    pass


@dataclass(frozen=True)
class Range:
    least: int
    most: int
    part: float


@dataclass(frozen=True)
class Configuration:
    keys: tuple[Range, ...] = (Range(64, 64, 1),)
    values: tuple[Range, ...] = (Range(1024, 1024, 1),)
    set: float = 0.1
    get: float = 0.9

    def with_values_of(self, size: int) -> Configuration:
        return replace(self, values=(Range(size, size, 1),))


def read(path: Path) -> Configuration:
    try:
        text = path.read_text()
    except OSError as error:
        raise BadConfiguration(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadConfiguration(f"{path}: this is no text") from None
    try:
        return parse(text)
    except BadConfiguration as error:
        raise BadConfiguration(f"{path}: {error}") from None


def parse(text: str) -> Configuration:
    ranges: dict[str, list[Range]] = {"key": [], "value": []}
    shares: dict[int, float] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if words[0] in _SECTIONS and len(words) == 1:
            section = words[0]
            continue
        try:
            if section == "cmd":
                command, part = _command(words)
                if command in shares:
                    raise BadConfiguration(f"command {command} stands there twice")
                shares[command] = part
            elif section:
                ranges[section].append(_range(words, *(KEY_BYTES if section == "key" else VALUE_BYTES)))
            else:
                raise BadConfiguration("a section must come first: key, value or cmd")
        except BadConfiguration as error:
            raise BadConfiguration(f"line {number}: {error}") from None
    for name, parts in (*((name, [r.part for r in found]) for name, found in ranges.items()), ("cmd", shares.values())):
        if not parts:
            raise BadConfiguration(f"there is no section {name}, or nothing in it")
        if abs(sum(parts) - 1) > _TOLERANCE:
            raise BadConfiguration(f"the parts of {name} make {sum(parts):g} together, not 1")
    return Configuration(tuple(ranges["key"]), tuple(ranges["value"]), shares.get(0, 0.0), shares.get(1, 0.0))


def _range(words: Sequence[str], least: int, most: int) -> Range:
    try:
        first, last, part = int(words[0]), int(words[1]), float(words[2])
    except (ValueError, IndexError):
        first, last, part = 0, -1, 0.0
    if len(words) != 3 or not 0 <= part <= 1 or last < first:
        raise BadConfiguration(f"{' '.join(words)!r} is not: least bytes, most bytes, part of 1")
    if first < least or last > most:
        raise BadConfiguration(f"lengths are from {least} to {most} bytes, not {first} to {last}")
    return Range(first, last, part)


def _command(words: Sequence[str]) -> tuple[int, float]:
    try:
        command, part = float(words[0]), float(words[1])  # "1.0" stands in memaslap's manual
    except (ValueError, IndexError):
        command, part = -1.0, 0.0
    if len(words) != 2 or command not in (0, 1) or not 0 <= part <= 1:
        raise BadConfiguration(f"{' '.join(words)!r} is not: 0 (set) or 1 (get), part of 1")
    return int(command), part


def lengths(ranges: Sequence[Range], count: int, chance: random.Random) -> array[int]:
    """Of so many objects: in each unit of them the ranges have their parts, and lengths are even within a range."""
    found: array[int] = array("I")
    ends = [round(UNIT * sum(r.part for r in ranges[: i + 1])) for i in range(len(ranges))]
    ends[-1] = UNIT
    for _ in range(-(-count // UNIT)):
        unit = array("I")
        for r, end in zip(ranges, ends):
            unit.extend(chance.randint(r.least, r.most) for _ in range(end - len(unit)))
        chance.shuffle(unit)
        found.extend(unit)
    return found[:count]


def mean(ranges: Sequence[Range]) -> int:
    return int(sum(r.part * (r.least + r.most) / 2 for r in ranges))
