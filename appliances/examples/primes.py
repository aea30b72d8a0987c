"""Long work beside short answers: the event manager of this appliance is its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from appliances.examples.sliced_events import SlicedEvents
from netapp.ebb.core import EVENT_MANAGER, Core
from netapp.iobuf.chain import Chain
from netapp.iobuf.cursor import Cursor
from netapp.node.appliance import Appliance
from netapp.tcp.request_handler import RequestHandler, Requests

BLOCK = 1000
LONGEST_LINE = 100


def count(block: int) -> int:
    """How many primes there are in a block of numbers."""
    numbers = range(max(block * BLOCK, 2), (block + 1) * BLOCK)
    return sum(all(number % divisor for divisor in range(2, int(number**0.5) + 1)) for number in numbers)


class PrimesSession(RequestHandler):
    def __init__(self, appliance: Primes) -> None:
        super().__init__(appliance.requests)
        self.appliance = appliance

    def request(self, cursor: Cursor, reply: Chain) -> bool:
        if not cursor.line():
            return False
        word = cursor.token() or b""
        if word.isdigit() and not cursor.more():
            self.ask(int(word) // BLOCK)
        else:
            reply.write(b"pong\n")
        cursor.end_line()
        return True

    def bound(self, waiting: Chain) -> bool:
        if waiting.length > LONGEST_LINE:
            self.abort()
        return True

    def ask(self, blocks: int) -> None:
        """Every block is an event. All of them are queued now: how many run in a turn is the event manager's affair."""
        found: list[int] = []
        for block in range(min(blocks, 10_000)):
            self.appliance.events.spawn(lambda block=block: found.append(count(block)))
        self.appliance.events.spawn(lambda: self.answer(sum(found)))

    def answer(self, primes: int) -> None:
        if self.connection is not None:
            self.send(b"%d\n" % primes)


class Primes(Appliance):
    """Count the primes below a number, in thousands; and answer `ping` meanwhile (example: own event manager)."""

    @dataclass(frozen=True)
    class Options(Appliance.Options):
        port: int = field(default=7001, metadata={"help": "TCP port", "range": (1, 65535)})
        slice: int = field(
            default=200,
            metadata={"help": "microseconds of work in a turn; 0: the plain event manager", "range": (0, 1_000_000)},
        )

    options: Primes.Options

    def start(self) -> None:
        if self.options.slice:
            self.node.rebind(EVENT_MANAGER, self.make_events)
        self.requests = Requests()
        self.tcp.listen(self.options.port, partial(PrimesSession, self))

    def stop(self) -> None:
        self.requests.clear()

    def make_events(self, core: Core, ebb_id: int) -> SlicedEvents:
        platform, config = self.node.platform, self.node.config
        events = SlicedEvents(platform.clock, platform.interrupts, config.handler_limit)
        events.slice = self.options.slice * 1000
        return events

    def hint(self, address: str) -> str:
        return f"bash -c 'exec 3<>/dev/tcp/{address}/{self.options.port}; printf \"1000000\\nping\\n\" >&3; cat <&3'"
