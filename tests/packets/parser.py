"""Scripts: options, commands, events with their times, system calls. Packets are packet_parser's."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from tests.packets.errors import Refused
from tests.packets.lexer import Tokens, unquote
from tests.packets.packet_parser import parse_packet
from tests.packets.script import (
    Anything,
    Apply,
    Call,
    Code,
    Command,
    Either,
    Event,
    Expression,
    Packet,
    Script,
    Struct,
    Time,
    Word,
)


def parse(path: Path, text: str) -> Script:
    """Refused: it is no script."""
    at = Tokens(text)
    options, commands = [], []
    events: list[Event] = []
    while at.next.kind == "option":
        line, (name, _, value) = at.line, at.take().text[2:].partition("=")
        options.append((line, name, value.strip('"')))
    while at.next.kind == "command":
        commands.append((at.line, at.take().text[1:-1]))
    while at.next.kind != "end":
        if at.next.kind == "command" and events:
            raise Refused(at.line, f"a shell command after the last event: {at.next.text}")
        events.append(_event(at))
    if not events:
        raise Refused(at.line, "the script has no events")
    return Script(path, tuple(options), tuple(commands), tuple(events))


# --- times -----------------------------------------------------------------------------------------------------------


def _nanoseconds(at: Tokens) -> int:
    return int(Decimal(at.expect_kind("float", "integer").text) * 10**9)


def _time(at: Tokens) -> Time:
    line = at.line
    if at.accept("*"):
        return Time("any")
    relative = at.accept("+") is not None
    start, end = _nanoseconds(at), None
    if at.accept("~"):
        if relative:
            at.expect("+")
        end = _nanoseconds(at)
        if end < start:
            raise Refused(line, "time range is backwards")
    return Time("relative" if relative else "absolute", start, end)


def _event(at: Tokens) -> Event:
    line = at.line
    time = _time(at)
    action = _action(at)
    if (time.kind == "any" or time.end is not None) and not (isinstance(action, Packet) and not action.inbound):
        what = "event time <star>" if time.kind == "any" else "event time range"
        raise Refused(line, f"{what} can only be used with outbound packets")
    return Event(line, time, action)


def _action(at: Tokens) -> Packet | Call | Code | Command:
    if at.next.text in ("<", ">"):
        return parse_packet(at)
    if at.next.kind == "code":
        return Code(at.take().text[2:-2].strip())
    if at.next.kind == "command":
        return Command(at.take().text[1:-1])
    return _call(at)


# --- system calls ----------------------------------------------------------------------------------------------------


def _call(at: Tokens) -> Call:
    end = None
    if at.accept("..."):
        end = _nanoseconds(at)
    name = at.expect_kind("word").text
    at.expect("(")
    arguments = _list(at, ")")
    at.expect("=")
    result = _expression(at)
    errno = None
    if at.next.kind == "word" and not at.next.text[0].isdigit():
        errno = at.take().text
    if at.accept("("):  # strerror's text, a note
        while not at.accept(")"):
            at.expect_kind("word", "integer", "symbol", "ellipsis")
    return Call(name, tuple(arguments), result, errno, end)


def _list(at: Tokens, end: str) -> list[Expression]:
    found: list[Expression] = []
    if at.accept(end):
        return found
    while True:
        found.append(_expression(at))
        if at.accept(end):
            return found
        at.expect(",")


def _expression(at: Tokens) -> Expression:
    parts = [_term(at)]
    while at.accept("|"):
        parts.append(_term(at))
    return parts[0] if len(parts) == 1 else Either(tuple(parts))


def _term(at: Tokens) -> Expression:
    if at.accept("..."):
        return Anything()
    if at.accept("["):
        return _list(at, "]")
    if at.accept("{"):
        return _struct(at)
    if at.accept("-"):
        return -at.integer()
    if at.next.kind in ("integer", "hex"):
        return at.integer(2**63)
    if at.next.kind == "string":
        text = ""
        while at.next.kind == "string":
            text += unquote(at.take().text)
        return text
    name = at.expect_kind("word").text
    if at.accept("("):
        argument = _expression(at)
        at.expect(")")
        return Apply(name, argument)
    return Word(name)


def _struct(at: Tokens) -> Struct:
    fields: dict[str, Expression] = {}
    while True:
        if at.next.kind == "word" and at.after().text in ("=", "("):
            name = at.take().text
            if at.accept("("):  # msg_name(...)=..., msg_iov(1)=[…]
                _expression(at)
                at.expect(")")
            at.expect("=")
        else:
            name = str(len(fields))
        fields[name] = _expression(at)
        if at.accept("}"):
            return Struct(fields)
        at.expect(",")
