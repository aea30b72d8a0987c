"""Command-line options out of configuration dataclasses.

A field's metadata: `help`; `flags`, without which it is the field's name; `range`, least and greatest; `choices`;
`metavar`; `parse`, which makes the value of a text or raises ValueError, and `shown`, the text of the default;
`count`: it may be given several times, without a value; `shows`, a text that the flag prints before the end;
`refused`, why nobody may give it (without a `metavar` it has no value).
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import click

_TYPES: dict[Any, Any] = {int: click.INT, float: click.FLOAT, str: click.STRING}


def _show(text: str, context: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        click.echo(text)
        context.exit()


def _refuse(why: str, context: click.Context, param: click.Parameter, value: Any) -> str:
    if value:
        raise click.UsageError(f"{'/'.join(param.opts)} is refused: {why}")
    return ""


class _Parsed(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A text that a function makes a value of."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self.parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def options_of(config: type) -> list[click.Option]:
    """One for each field of the dataclass; one that is a tuple may be given several times."""
    types = typing.get_type_hints(config)
    return [_option(field, types[field.name]) for field in dataclasses.fields(config)]


def _option(field: dataclasses.Field[Any], kind: Any) -> click.Option:
    given = field.metadata
    flags = (*given.get("flags", (f"--{field.name.replace('_', '-')}",)), field.name)
    default = given.get("shown", field.default)
    repeatable = typing.get_origin(kind) is tuple
    if "refused" in given:
        refuse = partial(_refuse, given["refused"])
        flag = not given.get("metavar")
        return click.Option(
            flags, is_flag=flag, metavar=given.get("metavar"), callback=refuse, help=given.get("help"), is_eager=True
        )
    if "shows" in given:
        show = partial(_show, given["shows"])
        return click.Option(flags, is_flag=True, callback=show, help=given.get("help"), is_eager=True)
    if given.get("count"):
        return click.Option(flags, count=True, help=given.get("help"))
    if kind is bool:
        return click.Option(flags, is_flag=True, default=default, help=given.get("help"))
    return click.Option(
        flags,
        type=_type(field, typing.get_args(kind)[0] if repeatable else kind, given),
        default=default,
        multiple=repeatable,
        show_default=default not in ("", ()),
        metavar=given.get("metavar", "N" if "range" in given else None),
        help=given.get("help"),
    )


def _type(field: dataclasses.Field[Any], kind: Any, given: Mapping[str, Any]) -> Any:
    if "parse" in given:
        return _Parsed(field.name, given["parse"])
    if "choices" in given:
        return click.Choice(given["choices"])
    optional = [part for part in typing.get_args(kind) if part is not type(None)]
    kind = optional[0] if optional else kind
    if "range" in given:
        least, greatest = given["range"]
        return (click.FloatRange if kind is float else click.IntRange)(least, greatest)
    return _TYPES[kind]


def taken(config: type, values: Mapping[str, Any]) -> Any:
    """The dataclass with the values that belong to it. ValueError: they do not fit together."""
    return config(**{field.name: values[field.name] for field in dataclasses.fields(config)})
