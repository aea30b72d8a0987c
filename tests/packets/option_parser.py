"""TCP options of packets: `<mss 1460,nop,wscale 7,sackOK,TS val 1 ecr 2>`, and `<...>` for any."""

from __future__ import annotations

from tests.packets import names
from tests.packets.errors import Refused
from tests.packets.lexer import Tokens
from tests.packets.script import Option, Sack, TcpOption, Timestamp


def parse_options(at: Tokens, inbound: bool) -> tuple[TcpOption, ...] | None:
    line = at.line
    if not at.accept("<"):
        return ()
    if at.accept("..."):
        if inbound:
            raise Refused(line, "<...> for TCP options can only be used with outbound packets")
        at.expect(">")
        return None
    found = [_option(at)]
    while at.accept(","):
        found.append(_option(at))
    at.expect(">")
    length = sum(map(_length, found))
    if length > 40 or length % 4:
        raise Refused(line, f"the TCP options have {length} bytes: a multiple of 4 up to 40 is needed")
    return tuple(found)


def _length(option: TcpOption) -> int:
    if isinstance(option, Timestamp):
        return 10
    if isinstance(option, Sack):
        return 2 + 8 * len(option.blocks)
    if option.kind is None or option.kind <= names.NOP:
        return max(1, len(option.body))
    return 2 + len(option.body)


def _blob(at: Tokens) -> bytes:
    """Hexadecimal digits; the lexer may have seen a number, or a number and a word, in them."""
    digits, line = "", at.line
    while at.next.kind in ("integer", "word", "hex") and (not digits or at.touching()):
        digits += at.take().text
    try:
        return bytes.fromhex(digits.removeprefix("0x"))
    except ValueError:
        raise Refused(line, f"{digits} are no hexadecimal bytes") from None


def _option(at: Tokens) -> TcpOption:
    token = at.take()
    match token.text:
        case "nop":
            return Option(names.NOP)
        case "eol":
            return Option(names.EOL)
        case "mss":
            return Option(names.MSS, at.integer(65535, "mss value").to_bytes(2, "big"))
        case "wscale":
            return Option(names.WINDOW_SCALE, bytes([at.integer(255, "window scale shift count")]))
        case "sackOK":
            return Option(names.SACK_PERMITTED)
        case "sack":
            return _sack(at)
        case "TS":
            at.expect("val")
            value = at.integer(what="ts val")
            at.expect("ecr")
            return Timestamp(value, at.integer(what="ecr val"))
        case "md5":
            return Option(names.MD5, _blob(at))
        case "FO":
            return Option(names.FAST_OPEN, b"" if at.next.text in (",", ">") else _blob(at))
        case "FOEXP":
            cookie = b"" if at.next.text in (",", ">") else _blob(at)
            return Option(names.EXPERIMENT, names.FAST_OPEN_MAGIC + cookie)
        case "kind":
            kind = at.integer(255, "kind of option")
            return Option(kind, b"" if at.next.text in (",", ">") else _blob(at))
        case "raw":
            return Option(None, _blob(at))
    raise Refused(token.line, f"TCP option {token.text}: no such option")


def _sack(at: Tokens) -> Sack:
    blocks = []
    while at.next.kind == "integer":
        left = at.integer(what="TCP SACK left sequence number")
        at.expect(":")
        blocks.append((left, at.integer(what="TCP SACK right sequence number")))
    return Sack(tuple(blocks))
