"""A script's text in tokens, which know their lines."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.packets.errors import Refused

_TOKEN = re.compile(
    r"""
      (?P<space>\s+ | //[^\n]* | /\*.*?\*/)
    | (?P<option>--[A-Za-z0-9_.]+(?:=(?:"[^"\n]*"|[^\s"]+))?)
    | (?P<code>%\{.*?\}%)
    | (?P<string>"(?:\\.|[^"\\])*")
    | (?P<command>`(?:\\.|[^`\\])*`)
    | (?P<ellipsis>\.\.\.)
    | (?P<hex>0x[0-9a-fA-F]+(?![A-Za-z0-9_]))
    | (?P<float>[0-9]*\.[0-9]+)
    | (?P<integer>[0-9]+(?![A-Za-z0-9_]))
    | (?P<word>[A-Za-z0-9_]+)
    | (?P<symbol>.)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Token:
    kind: str  # the names of the pattern's groups, and "end"
    text: str
    line: int
    end: int  # where it ends in the text: two tokens may touch


def tokens(text: str) -> list[Token]:
    found = []
    line, at = 1, 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        assert match is not None and match.lastgroup is not None
        if match.lastgroup == "symbol" and text.startswith(('"', "`", "/*", "%{"), at):
            raise Refused(line, f"syntax error: {match.group()} is never closed")
        if match.lastgroup != "space":
            found.append(Token(match.lastgroup, match.group(), line, match.end()))
        line += match.group().count("\n")
        at = match.end()
    found.append(Token("end", "end of file", line, at))
    return found


class Tokens:
    """Where a parser stands among them."""

    def __init__(self, text: str) -> None:
        self._tokens = tokens(text)
        self._at = 0

    @property
    def next(self) -> Token:
        return self._tokens[self._at]

    def after(self, count: int = 1) -> Token:
        return self._tokens[min(self._at + count, len(self._tokens) - 1)]

    @property
    def line(self) -> int:
        return self.next.line

    def take(self) -> Token:
        token = self.next
        self._at += token.kind != "end"
        return token

    def touching(self) -> bool:
        """Whether nothing stands between the token before and the next one."""
        return self.next.end - len(self.next.text) == self._tokens[self._at - 1].end

    def accept(self, *texts: str) -> Token | None:
        """Takes the next token if it is one of these, and no string that looks like it."""
        if self.next.text in texts and self.next.kind in ("symbol", "word", "ellipsis"):
            return self.take()
        return None

    def expect(self, text: str) -> Token:
        return self.accept(text) or self.fail(f"expected {text}")

    def expect_kind(self, *kinds: str) -> Token:
        if self.next.kind not in kinds:
            self.fail(f"expected {' or '.join(kinds)}")
        return self.take()

    def integer(self, most: int = 2**32 - 1, what: str = "number") -> int:
        token = self.expect_kind("integer", "hex")
        value = int(token.text, 0) if token.kind == "hex" else int(token.text)
        if value > most:
            raise Refused(token.line, f"{what} out of range: {value} is more than {most}")
        return value

    def fail(self, message: str) -> Token:
        raise Refused(self.line, f"syntax error at {self.next.text!r}: {message}")


def unquote(text: str) -> str:
    """What a string in quotes stands for; its characters are bytes."""
    return text[1:-1].encode("latin-1").decode("unicode_escape")
