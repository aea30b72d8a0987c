"""Which replies which commands with which flags had."""

import struct
from collections import Counter
from collections.abc import Sequence

from tests.memcached import cells
from tests.memcached.binary import QUITS
from tests.memcached.cells import Cell

HEADER_BYTES, INVALID = 24, 0x04


def fenced(commands: Sequence[bytes]) -> bytes:
    """So that every command's reply is known from the others': a miss with a number follows each."""
    return b"".join(b"%bmg fence Of%d\r\n" % (command, number) for number, command in enumerate(commands))


def fence_reply(number: int) -> bytes:
    return b"EN Of%d\r\n" % number


class Table:
    def __init__(self, listed: set[Cell] = cells.CELLS) -> None:
        self.listed = listed
        self.reached: Counter[Cell] = Counter()

    def text(self, commands: Sequence[bytes], reply: bytes) -> None:
        """Of what was asked fenced; not those beside a value that was longer than it said, and swallowed a fence."""
        start, known = 0, True
        for number, command in enumerate(commands):
            fence = fence_reply(number)
            at = reply.find(fence, start)
            if at >= 0:
                if known and command.strip(b" \r\n"):
                    self.reached.update(text_cells(command, reply[start:at]))
                start = at + len(fence)
            elif known and command.split()[:1] in ([b"quit"], [b"shutdown"]) and start == len(reply):
                self.reached.update(text_cells(command, b"closed"))
                return
            known = at >= 0

    def binary(self, requests: Sequence[bytes], reply: bytes) -> None:
        """Of requests whose opaques differ; up to one after which it is closed, or more than that is stepped over."""
        answers: dict[int, int] = {}
        while len(reply) >= HEADER_BYTES:
            status, length, opaque = struct.unpack_from(">6xHII", reply)
            answers.setdefault(opaque, status)
            reply = reply[HEADER_BYTES + length :]
        answered = [int.from_bytes(request[12:16]) in answers for request in requests]
        last = len(requests) - answered[::-1].index(True) if any(answered) else 0
        for number, request in enumerate(requests):
            _, opcode, key, extras, length, opaque, unique = struct.unpack_from(">BBHB3xIIQ", request)
            status = answers.get(opaque, -1)
            name, flag = cells.binary_row(opcode, unique)
            steps_over_more = length and cells.BINARY[name.removeprefix("binary ")]["-"][0] == cells.UNKNOWN
            if number >= last and opcode not in QUITS:
                break  # unanswered because it was closed, maybe
            if status >= 0 or not steps_over_more:
                self.reached[name, flag, cells.STATUS[status]] += 1
            if status == INVALID or opcode in QUITS or length < key + extras or steps_over_more:
                break

    def udp(self, payload: bytes, answer: bytes) -> None:
        """Of a datagram that is answered its first command."""
        words = [word.decode("latin-1") for word in payload.split(b"\n")[0].rstrip(b"\r").split(b" ") if word]
        if answer and words and not {"noreply", "q"} & set(words):
            name = words[0] if words[0] in cells.NAMES else "(unknown)"
            self.reached[f"udp {name}", "-", kind(answer).split()[0]] += 1

    @property
    def untouched(self) -> list[Cell]:
        return sorted(self.listed - set(self.reached))

    @property
    def unlisted(self) -> list[Cell]:
        return sorted(set(self.reached) - self.listed)

    def __str__(self) -> str:
        rows: dict[tuple[str, str], list[str]] = {}
        for command, flag, reply in sorted(
            self.listed | set(self.reached), key=lambda cell: (cell[0].startswith("binary"), cell)
        ):
            count = self.reached[command, flag, reply]
            note = "" if (command, flag, reply) in self.listed else " (not in the list)"
            rows.setdefault((command, flag), []).append(f"{reply} {count or 'NEVER'}{note}")
        return "\n".join(f"{command:15} {flag:10} " + ", ".join(row) for (command, flag), row in rows.items())


def text_cells(command: bytes, answer: bytes) -> list[Cell]:
    words = [word.decode("latin-1") for word in command.split(b"\n")[0].rstrip(b"\r").split(b" ") if word]
    name = words[0] if words[0] in cells.NAMES else "(unknown)"
    reply = kind(answer)
    if name not in cells.META:
        return [(name, cells.text_flag(name, words[1:]), reply)]
    flags = {_flag(word) for word in words[3 if name == "ms" else 2 :]}
    if (reply.isupper() and len(reply) == 2) or reply == "nothing":
        flags &= set(cells.FLAGS[name])
        shown = {f"-> {word}" for word in answer.split(b"\r\n")[0].decode("latin-1").split() if word in "WXZ"}
        return [(name, flag, reply) for flag in (flags | shown if name == "mg" else flags) or {"-"}]
    flag = flags.pop() if len(flags) == 1 else "-"
    return [(name, flag if (name, flag, reply) in cells.CELLS else "-", reply)]


def _flag(word: str) -> str:
    return word[:2] if word[:1] == "M" else word[:1]


def kind(answer: bytes) -> str:
    line = answer.split(b"\r\n")[0].decode("latin-1")
    if not answer:
        return "nothing"
    if line.isdigit():
        return "number"
    word = line.split()[0]
    return line if "ERROR" in word or "MEMLIMIT" in word else word
