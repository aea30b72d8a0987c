"""Runs a script: its events in order, at their times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.packets.calls import BLOCKS, Calls, Outcome
from tests.packets.check import differences, flow_of
from tests.packets.compose import compose
from tests.packets.configuration import Configuration, configure
from tests.packets.errors import Failed, Refused
from tests.packets.flows import Flow, Flows
from tests.packets.host import Host, host
from tests.packets.info import Unmapped, names
from tests.packets.parser import parse
from tests.packets.script import Anything, Call, Code, Command, Event, Icmp, Packet, Tcp, Time, Udp
from tests.packets.show import seconds, show_live, show_script
from tests.packets.values import number
from tests.packets.wire import BadPacket, LiveIcmp, LivePacket

# How far behind its time a packet is looked for, to say when it came. Nothing waits longer.
_SEARCH = 600 * 10**9


@dataclass
class _Waiting:
    """A blocking call."""

    line: int
    call: Call
    ask: Callable[[], Outcome]
    end: int  # when it is to return
    outcome: Outcome = BLOCKS
    returned: int = 0


class Run:
    def __init__(self, stack: Host, configuration: Configuration, trace: Callable[[str], None]) -> None:
        self.host = stack
        self.tolerance = configuration.tolerance
        self.flows = Flows(configuration.bind_port)
        self.calls = Calls(stack, self.flows, configuration)
        self.trace = trace
        self.waiting: _Waiting | None = None
        self.asking = False
        self.line = 0  # of the event that happens
        self.before = 0  # time of the event before, from which relative times count
        self.flow: Flow | None = None  # that the script spoke of last
        stack.when_settled = self._ask_waiting

    def events(self, events: tuple[Event, ...]) -> None:
        for event in events:
            self.line = event.line
            action = event.action
            if isinstance(action, Packet) and not action.inbound:
                self._expect(event, action)
                continue
            self._advance(event)
            if isinstance(action, Packet):
                self._inject(action)
            elif isinstance(action, Call):
                self._call(event, action)
            elif isinstance(action, Code):
                self._code(event, action)
            elif isinstance(action, Command):
                raise Refused(event.line, f"shell command `{action.text}`: nothing can change after the first event")
        self._end(events[-1].line)

    def _end(self, line: int) -> None:
        if self.waiting is not None:
            self._returned(self.waiting.line, self.waiting.end)
        self.host.settle()
        if self.host.sent:
            packet = self.host.sent[0]
            raise Failed(
                line,
                "error handling packet: the script has ended, and expects no more packets",
                f"actual packet: {self._show(packet, True)}",
            )

    # --- time --------------------------------------------------------------------------------------------------------

    def _at(self, time: Time) -> int:
        return time.start + (self.before if time.kind == "relative" else 0)

    def _advance(self, event: Event) -> None:
        when = self._at(event.time)
        if when < self.host.now - self.tolerance:
            raise Failed(
                event.line,
                f"timing error: the event is to happen at {seconds(when)} sec, and it is {seconds(self.host.now)} sec",
            )
        self.host.advance(when)
        self.before = when

    # --- packets -----------------------------------------------------------------------------------------------------

    def _inject(self, packet: Packet) -> None:
        if isinstance(packet.body, (Tcp, Udp)):
            self.flow = self.flows.of_script(packet.source_port, packet.destination_port)
            self.calls.literal |= packet.body.text is not None
        data = compose(self.host, self.flows, packet)
        self.trace(f"inbound injected packet:  {seconds(self.host.now)} {show_script(packet)}")
        self.host.send(data)

    def _expect(self, event: Event, packet: Packet) -> None:
        time = event.time
        start = self._at(time)
        end = start if time.end is None else self._at(Time(time.kind, time.end))
        latest = self.host.now + _SEARCH if time.kind == "any" else end + self.tolerance
        script = f"script packet: {'*' if time.kind == 'any' else seconds(start)} {show_script(packet)}"
        if not self.host.wait(latest) and not self.host.wait(latest + _SEARCH):
            raise Failed(event.line, f"error handling packet: no packet was sent by {seconds(latest)} sec", script)
        live = self.host.sent.pop(0)
        wrong = next(differences(packet, live, self.flows), None)
        if wrong is None and time.kind != "any" and not start - self.tolerance <= live.time <= end + self.tolerance:
            wanted = seconds(start) if time.end is None else f"{seconds(start)}~{seconds(end)}"
            wrong = (
                f"timing error: expected outbound packet at {wanted} sec but happened at {seconds(live.time)} sec; "
                f"tolerance {seconds(self.tolerance)} sec"
            )
        if not isinstance(packet.body, Icmp):
            self.flow = flow_of(packet, self.flows)
        shown = self._show(live, bool(packet.source_port))
        if wrong is not None:
            raise Failed(event.line, f"error handling packet: {wrong}", script, f"actual packet: {shown}")
        self.trace(f"outbound sniffed packet:  {shown}")
        plain = time.kind != "any" and time.end is None
        self.before = start if plain else live.time
        if plain:
            self.host.advance(start)

    def _show(self, live: LivePacket, with_ports: bool) -> str:
        flow = None if isinstance(live.body, LiveIcmp) else self.flows.of_packet(live.body.ports)
        return f"{seconds(live.time)} {show_live(live, flow, with_ports)}"

    # --- system calls ------------------------------------------------------------------------------------------------

    def _call(self, event: Event, call: Call) -> None:
        if self.waiting is not None:
            self._returned(event.line, self.host.now)
        ask = self.calls.begin(event.line, call)
        if call.end is not None:
            # A relative event's end counts from the event before, too.
            end = call.end + (self.before - event.time.start if event.time.kind == "relative" else 0)
            self.waiting = _Waiting(event.line, call, ask, end)
            self._ask_waiting()
            self.host.settle()
            return
        outcome = ask()
        self.host.settle()
        if outcome is BLOCKS:
            raise Failed(
                event.line,
                f"runtime error in {call.name} call: it blocks, and is to return {_expected(event.line, call)}",
            )
        self._hold_against(event.line, call, outcome)

    def _hold_against(self, line: int, call: Call, outcome: Outcome) -> None:
        assert outcome is not None
        self.trace(f"{call.name} call: {seconds(self.host.now)} returned {outcome}")
        self.flow = self._flow_of_call() or self.flow
        if isinstance(call.result, Anything):
            return
        if (number(line, call.result), call.errno) != (outcome.value, outcome.errno):
            raise Failed(
                line,
                f"runtime error in {call.name} call: Expected result {_expected(line, call)} but got {outcome}",
            )

    def _flow_of_call(self) -> Flow | None:
        stream = self.calls.last
        if stream is None or not stream.remote_port:
            return None
        return self.flows.of_ports(stream.remote_port, stream.local_port)

    def _ask_waiting(self) -> bool:
        """Whether the call that waits returned just now."""
        waiting = self.waiting
        if waiting is None or waiting.outcome is not BLOCKS or self.asking:
            return False
        self.asking = True
        try:
            waiting.outcome = waiting.ask()
        finally:
            self.asking = False
        waiting.returned = self.host.now
        return waiting.outcome is not BLOCKS

    def _returned(self, line: int, by: int) -> None:
        """A call that waits must have returned before another, or the end."""
        waiting = self.waiting
        assert waiting is not None
        self.host.advance(max(by, min(waiting.end, by + _SEARCH)))
        self.waiting = None
        what = f"runtime error in {waiting.call.name} call"
        if waiting.outcome is BLOCKS:
            raise Failed(waiting.line, f"{what}: it blocks still at {seconds(self.host.now)} sec")
        if abs(waiting.returned - waiting.end) > self.tolerance:
            raise Failed(
                waiting.line,
                f"{what}: timing error: expected system call return at {seconds(waiting.end)} sec "
                f"but happened at {seconds(waiting.returned)} sec; tolerance {seconds(self.tolerance)} sec",
            )
        self._hold_against(waiting.line, waiting.call, waiting.outcome)

    # --- code --------------------------------------------------------------------------------------------------------

    def _code(self, event: Event, code: Code) -> None:
        try:
            compiled = compile(code.text, f"line {event.line}", "exec")
            exec(compiled, names(compiled, self.host, self.flow, self.calls.last))
        except Unmapped as error:
            raise Refused(event.line, f"code: {error}") from None
        except SyntaxError as error:
            raise Refused(event.line, f"code: {error}") from None
        except Exception as error:
            raise Failed(event.line, f"code: {type(error).__name__}: {error or code.text}") from None


def _expected(line: int, call: Call) -> str:
    value = str(number(line, call.result))
    return f"{value} {call.errno}" if call.errno else value


def run(
    path: Path, options: tuple[str, ...] = (), trace: Callable[[str], None] = lambda line: None, text: str | None = None
) -> None:
    """Failed or Refused: how it ended. `options`, NAME=VALUE, go before the script's own."""
    script = parse(path, path.read_text() if text is None else text)
    configuration = configure(script.options, script.commands, options)
    running = None
    try:
        with host(configuration) as stack:
            running = Run(stack, configuration, trace)
            running.events(script.events)
    except BadPacket as error:
        raise Failed(running.line if running else 0, f"the stack sent a bad packet: {error}") from None
    except AssertionError as error:
        raise Failed(running.line if running else 0, f"the stack is at fault: {error}") from None
