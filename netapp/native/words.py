"""The words of a command line, as netapp/cli/options.py understands them, without click: a boot image has no more of
that than it needs. Metadata of the dataclasses' fields mean the same.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

Field = dataclasses.Field[Any]


class UsageError(Exception):
    """Wrong words: one line."""


class Shown(Exception):
    """A text was asked for: it is the exception's."""


def split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The program's words, and those after `--`, which are the appliance's."""
    end = words.index("--") if "--" in words else len(words)
    return list(words[:end]), list(words[end + 1 :])


def values_of(config: type, words: Sequence[str], title: str) -> dict[str, Any]:
    """What is given of the dataclass's fields. `title`: the first line of its help. Raises UsageError and Shown."""
    by_flag = {flag: field for field in dataclasses.fields(config) for flag in _flags(field)}
    found: dict[str, Any] = {}
    last: dict[str, tuple[Field, str, Any, str]] = {}  # of several values of one field; the others are not looked at
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if word in ("-h", "--help"):
            raise Shown("\n".join(_help(config, title)))
        flag, attached = _flag(word)
        field = by_flag.get(flag)
        if field is None:
            raise UsageError(f"there is no option {flag}: -h lists them")
        if "refused" in field.metadata:
            raise UsageError(f"{flag} is refused: {field.metadata['refused']}")
        if not _has_value(field):
            if attached is not None and word.startswith("--"):
                raise UsageError(f"{flag} takes no value")
            if attached:
                waiting.insert(0, "-" + attached)
            if "shows" in field.metadata:
                raise Shown(field.metadata["shows"])
            found[field.name] = found.get(field.name, 0) + 1 if field.metadata.get("count") else True
            continue
        if attached is None:
            if not waiting:
                raise UsageError(f"{flag} wants a value")
            attached = waiting.pop(0)
        kind = kinds(config)[field.name]
        if typing.get_origin(kind) is tuple:
            value = _value(field, flag, typing.get_args(kind)[0], attached)
            found[field.name] = (*found.get(field.name, ()), value)
        else:
            last[field.name] = field, flag, kind, attached
    return found | {name: _value(*given) for name, given in last.items()}


@cache
def kinds(config: type) -> dict[str, Any]:
    """Of the dataclass's fields."""
    return typing.get_type_hints(config)


def made(config: type, values: dict[str, Any]) -> Any:
    """The dataclass of them. Raises UsageError where they do not fit together."""
    try:
        return config(**values)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _flags(field: Field) -> Sequence[str]:
    return field.metadata.get("flags") or (f"--{field.name.replace('_', '-')}",)


def _flag(word: str) -> tuple[str, str | None]:
    """The flag of a word, and the value that it brings; None: it brings none."""
    if word.startswith("--"):
        flag, equals, value = word.partition("=")
        return flag, value if equals else None
    if word.startswith("-") and len(word) > 1:
        return word[:2], word[2:] or None
    raise UsageError(f"{word!r} is no option: -h lists them")


def _has_value(field: Field) -> bool:
    given = field.metadata
    return not (field.default is False or given.get("count") or "shows" in given)


def _value(field: Field, flag: str, kind: Any, text: str) -> Any:
    given = field.metadata
    if "parse" in given:
        try:
            return given["parse"](text)
        except ValueError as error:
            raise UsageError(f"{flag}: {error}") from None
    if "choices" in given:
        if text not in given["choices"]:
            raise UsageError(f"{flag}: {text!r} is none of {', '.join(given['choices'])}")
        return text
    number = next((one for one in (int, float) if one is kind or one in typing.get_args(kind)), None)
    if number is None:
        return text
    least, greatest = given.get("range", (None, None))
    try:
        value = number(text)
    except ValueError:
        raise UsageError(f"{flag}: {text!r} is no number") from None
    if least is not None and not least <= value <= greatest:
        raise UsageError(f"{flag}: {text} is not from {least} to {greatest}")
    return value


def _help(config: type, title: str) -> Iterator[str]:
    yield title
    for field in dataclasses.fields(config):
        given = field.metadata
        name = given.get("metavar", "N" if "range" in given else "|".join(given.get("choices", ("TEXT",))))
        yield f"  {', '.join(_flags(field))}{' ' + name if _has_value(field) else ''}"
        default = given.get("shown", field.default)
        shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
        shown = f" ({shown})" if _has_value(field) and shown not in (None, "") else ""
        for line in (given.get("help", "") + shown).splitlines():
            if line.strip("\b"):
                yield f"      {line}"
