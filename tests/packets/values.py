"""Arguments of system calls: symbols, and the shapes that a call wants."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
from dataclasses import dataclass

from tests.packets.errors import Refused
from tests.packets.script import Anything, Apply, Either, Expression, Struct, Word

_SYMBOLS = {"SOL_TCP": 6, "SHUT_RD": 0, "SHUT_WR": 1, "SHUT_RDWR": 2}


def symbol(line: int, name: str) -> int:
    if name in _SYMBOLS:
        return _SYMBOLS[name]
    for module in (socket, fcntl, os, select, errno):
        value = getattr(module, name, None)
        if isinstance(value, int):
            return int(value)
    raise Refused(line, f"unknown symbol {name}")


def number(line: int, value: Expression) -> int:
    if isinstance(value, int):
        return value
    if isinstance(value, Word):
        return symbol(line, value.name)
    if isinstance(value, Either):
        result = 0
        for part in value.parts:
            result |= number(line, part)
        return result
    if isinstance(value, Apply) and value.function == "htons":
        return number(line, value.argument)
    raise Refused(line, f"a number is wanted, not {show(value)}")


@dataclass(frozen=True)
class SocketAddress:
    address: str
    port: int


def socket_address(line: int, value: Expression, default: SocketAddress) -> SocketAddress:
    if isinstance(value, Anything):
        return default
    if not isinstance(value, Struct) or set(value.fields) != {"sa_family", "sin_port", "sin_addr"}:
        raise Refused(line, f"a socket address is wanted, not {show(value)}")
    if number(line, value.fields["sa_family"]) != socket.AF_INET:
        raise Refused(line, f"address family {show(value.fields['sa_family'])}: the stack has IPv4 only")
    address = value.fields["sin_addr"]
    if not (isinstance(address, Apply) and address.function == "inet_addr" and isinstance(address.argument, str)):
        raise Refused(line, f"sin_addr = inet_addr(…) is wanted, not {show(address)}")
    return SocketAddress(address.argument, number(line, value.fields["sin_port"]))


def vector_length(line: int, value: Expression) -> int:
    """Bytes of `[{..., 1000}, {..., 500}]`."""
    if not isinstance(value, list):
        raise Refused(line, f"an array of iovecs is wanted, not {show(value)}")
    total = 0
    for part in value:
        if not isinstance(part, Struct) or len(part.fields) != 2:
            raise Refused(line, f"an iovec {{..., length}} is wanted, not {show(part)}")
        total += number(line, part.fields["1"])
    return total


def show(value: Expression) -> str:
    match value:
        case Word(name):
            return name
        case Anything():
            return "..."
        case Either(parts):
            return "|".join(map(show, parts))
        case Apply(function, argument):
            return f"{function}({show(argument)})"
        case Struct(fields):
            return "{" + ", ".join(f"{name}={show(part)}" for name, part in fields.items()) + "}"
        case list():
            return "[" + ", ".join(map(show, value)) + "]"
        case str():
            return f'"{value}"'
    return str(value)
