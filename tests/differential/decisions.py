"""Where ours and the kernel differ on purpose: what decides, and how such a difference is known."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.differential.peer import Place
from tests.differential.sides import Result
from tests.differential.steps import Segment, Step

SYNCHRONIZED = ("ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2", "CLOSE_WAIT", "CLOSING", "LAST_ACK", "TIME_WAIT")
AFTER_FIN = ("CLOSE_WAIT", "CLOSING", "LAST_ACK", "TIME_WAIT")


@dataclass(frozen=True)
class Moment:
    """A step that the two stacks answered in different ways."""

    step: Step
    state: str  # before it; the same of both
    ours: Result
    kernel: Result
    before: list[tuple[Step, Result, Result]]

    @property
    def segment(self) -> Segment:
        """The step; for a call one without flags that nothing asks about."""
        return self.step if isinstance(self.step, Segment) else Segment("?")

    @property
    def flags(self) -> str:
        return self.segment.flags

    @property
    def place(self) -> Place:
        return self.ours.place

    @property
    def end(self) -> int:
        """Behind the segment's last number, from RCV.NXT."""
        return self.place.seq + self.segment.length + ("S" in self.flags) + ("F" in self.flags)

    @property
    def called(self) -> str:
        return "" if isinstance(self.step, Segment) else self.step.name

    @property
    def listens(self) -> bool:
        return any(str(step) == "listen()" for step, _, _ in self.before)

    @property
    def only_sent(self) -> bool:
        """They sent different things, and the rest is alike."""
        return (self.ours.state, self.ours.programs) == (self.kernel.state, self.kernel.programs)

    @property
    def amounts(self) -> bool:
        """They differ in how much text, or in how far it, or a FIN, was sent. No acknowledgment is missing."""
        if not self.only_sent:
            return False
        pairs = zip(self.ours.sent, self.kernel.sent)
        if len(self.ours.sent) == len(self.kernel.sent):
            return all(
                (our.flags, our.ack, our.window) == (their.flags, their.ack, their.window) for our, their in pairs
            )
        return not (self.ours.sent and self.kernel.sent) and all(
            one.length or "F" in one.flags for one in self.ours.sent + self.kernel.sent
        )

    @property
    def answers(self) -> tuple[str, str]:
        """The flags of what ours and the kernel sent."""
        return " ".join(one.flags for one in self.ours.sent), " ".join(one.flags for one in self.kernel.sent)


@dataclass(frozen=True)
class Decision:
    what: str
    section: str
    matches: Callable[[Moment], bool]


DECISIONS = [
    Decision(
        "text sent in SYN-SENT or SYN-RECEIVED is queued; a socket that does not block refuses it",
        "RFC 9293, 3.10.2",
        lambda m: (
            m.called == "write"
            and m.state in ("SYN_SENT", "SYN_RECEIVED")
            and (m.ours.answer, m.kernel.answer) == ("", "refused")
            and not m.ours.sent
        ),
    ),
    Decision(
        "close() in SYN-SENT is the program's own doing, the kernel calls it a reset",
        "RFC 9293, 3.10.4",
        lambda m: (
            m.called == "close"
            and m.state == "SYN_SENT"
            and m.ours.state == m.kernel.state == "CLOSED"
            and (m.ours.programs[-1].error, m.kernel.programs[-1].error) == ("aborted", "reset")
        ),
    ),
    Decision(
        "a SYN whose options are malformed is dropped; the kernel takes those before the fault",
        "RFC 9293, 3.1, MUST-7",
        lambda m: "S" in m.flags and _malformed(m.segment.options) and not m.ours.sent,
    ),
    Decision(
        "in TIME-WAIT what is acceptable and no FIN needs no answer; the kernel acknowledges it",
        "RFC 9293, 3.10.7.4, seventh",
        lambda m: m.state == "TIME_WAIT" and m.only_sent and m.answers == ("", "A") and not set("SR") & set(m.flags),
    ),
    Decision(
        "in TIME-WAIT, too, a reset within the window is challenged; the kernel ignores it",
        "RFC 5961, 3.2",
        lambda m: m.state == "TIME_WAIT" and m.only_sent and m.answers == ("A", "") and "R" in m.flags,
    ),
    Decision(
        "what ends at RCV.NXT is too old: a reset is dropped, the rest acknowledged only; the kernel accepts it",
        "RFC 9293, 3.4, table 6",
        lambda m: (
            m.state in SYNCHRONIZED + ("SYN_RECEIVED",)
            and m.place.seq < 0 == m.end
            and (m.amounts or m.answers in (("", "A"), ("A", "")) or m.ours.state == m.state != m.kernel.state)
        ),
    ),
    Decision(
        "text at the window's right edge is cut off, its acknowledgment taken; the kernel drops both",
        "RFC 9293, 3.10.7.4, first",
        lambda m: (
            m.place.seq == m.place.edge
            and (m.segment.length > 0 or "F" in m.flags)
            and m.kernel.state == m.state
            and ("A" in m.flags or (m.only_sent and m.answers == ("", "A")))
        ),
    ),
    Decision(
        "text behind the peer's FIN is ignored; the kernel answers when it reaches beyond the window",
        "RFC 9293, 3.10.7.4, seventh",
        lambda m: (
            m.state in AFTER_FIN and 0 <= m.place.seq < m.place.edge < m.end and m.only_sent and m.answers == ("", "A")
        ),
    ),
    Decision(
        "a reset within the window, or at its edge, is challenged; the kernel drops it when it reaches beyond",
        "RFC 5961, 3.2",
        lambda m: m.place.seq <= m.place.edge < m.end and "R" in m.flags and m.only_sent and m.answers == ("A", ""),
    ),
    Decision(
        "how large a window is offered after the first",
        "RFC 9293, 3.8.6",
        lambda m: (
            m.segment.seq[0] == "edge"
            and m.place.edge != m.kernel.place.edge
            and m.only_sent
            and m.answers[0] == m.answers[1]
        ),
    ),
    Decision(
        "an MSS of less than 64 bytes counts as 64; for the kernel as 48",
        "RFC 9293, 3.7.1",
        lambda m: (
            m.amounts
            and any(b"\x02\x04\x00\x20" in step.options for step, _, _ in m.before if isinstance(step, Segment))
        ),
    ),
    Decision(
        "a SYN that comes again is answered by SYN and ACK again, also where it has an ACK, and in a simultaneous open;"
        " the RFC, and the kernel, acknowledge it only, with which a peer in SYN-SENT can do nothing",
        "RFC 9293, 3.10.7.4, first",
        lambda m: (
            m.state == "SYN_RECEIVED"
            and m.place.seq == -1
            and "S" in m.flags
            and m.answers in (("SA", "A"), ("SA", "R"))
        ),
    ),
    Decision(
        "a second FIN, behind the first, is ignored; the kernel takes it, too",
        "RFC 9293, 3.10.7.4, eighth",
        lambda m: (
            m.state in AFTER_FIN
            and "F" in m.flags
            and m.place.seq < 0 < m.end
            and m.only_sent
            and (
                m.answers == ("", "A")
                or (m.answers == ("A", "A") and m.kernel.sent[0].ack == 1 + (m.ours.sent[0].ack or 0))
            )
        ),
    ),
    Decision(
        "of text that comes twice, and not the same, the first stays; the kernel takes what is in order",
        "RFC 9293, 3.10.7.4, seventh",
        lambda m: (
            m.ours.sent == m.kernel.sent
            and m.ours.state == m.kernel.state
            and [len(seen.data) for seen in m.ours.programs] == [len(seen.data) for seen in m.kernel.programs]
            and any(step.other_text for step in [*(one[0] for one in m.before), m.step] if isinstance(step, Segment))
        ),
    ),
    Decision(
        "a SYN with FIN is looked at; the kernel drops it",
        "RFC 9293, 3.10.7.2",
        lambda m: (
            m.state in ("CLOSED", "TIME_WAIT")
            and {"S", "F"} <= set(m.flags)
            and m.kernel.state == "CLOSED"
            and not m.kernel.sent
        ),
    ),
    Decision(
        "an active open that is reset in SYN-RECEIVED was refused; the kernel calls it a reset",
        "RFC 9293, 3.10.7.4, second",
        lambda m: (
            m.state == "SYN_RECEIVED"
            and "R" in m.flags
            and m.ours.state == m.kernel.state == "CLOSED"
            and [seen.error for seen in m.ours.programs] == ["refused"]
            and [seen.error for seen in m.kernel.programs] == ["reset"]
        ),
    ),
    Decision(
        "a FIN goes into a window of zero as well, and so probes it; the kernel waits",
        "RFC 9293, 3.8.6.1",
        lambda m: m.only_sent and m.answers in (("FA", ""), ("FA", "A")) and m.ours.sent[0].length == 0,
    ),
    Decision(
        "an old segment does not change the window; the kernel takes it from each new acknowledgment",
        "RFC 9293, 3.10.7.4, fifth",
        lambda m: (
            (m.amounts or (m.only_sent and m.answers == ("A", "FA")))
            and (m.place.seq < 0 or any(isinstance(step, Segment) and our.place.seq > 0 for step, our, _ in m.before))
        ),
    ),
    Decision(
        "in SYN-RECEIVED an acknowledgment of SND.UNA is of nothing, and reset; the kernel takes it",
        "RFC 9293, 3.10.7.4, fifth",
        lambda m: m.state == "SYN_RECEIVED" and "A" in m.flags and m.place.ack <= 0 and m.answers[0] == "R",
    ),
    Decision(
        "a window becomes smaller without new numbers, too; the kernel leaves it as it was",
        "RFC 9293, 3.10.7.4, fifth",
        lambda m: m.amounts and _shrank(m),
    ),
    Decision(
        "text behind the peer's FIN is ignored; the kernel resets the connection when it overlaps the FIN",
        "RFC 9293, 3.10.7.4, seventh",
        lambda m: (
            m.state in AFTER_FIN and m.place.seq < 0 < m.end and m.kernel.state == "CLOSED" and "R" in m.answers[1]
        ),
    ),
    Decision(
        "without ACK, RST and SYN: the sequence number is looked at first, and answered; the kernel drops it first",
        "RFC 9293, 3.10.7.4, first",
        lambda m: (
            m.state in SYNCHRONIZED + ("SYN_RECEIVED",)
            and not set("ASR") & set(m.flags)
            and m.only_sent
            and m.answers == ("A", "")
        ),
    ),
    Decision(
        "an acknowledgment of less than SND.UNA, by up to the largest window seen, is old; the kernel's limit is what"
        " was acknowledged so far: a challenge",
        "RFC 5961, 5.2",
        lambda m: (
            m.state in SYNCHRONIZED
            and "A" in m.flags
            and -(65535 << 2) <= m.place.ack < 0
            and m.answers in (("", "A"), ("A", "A"), ("A", ""))
            and not sum(one.length for one in m.kernel.sent)
        ),
    ),
    Decision(
        "an acknowledgment of what was not sent is challenged; the kernel does so in ESTABLISHED only",
        "RFC 9293, 3.10.7.4, fifth",
        lambda m: m.state in SYNCHRONIZED and "A" in m.flags and m.place.ack > m.place.flight and m.only_sent,
    ),
    Decision(
        "a reset in CLOSING or LAST-ACK ends the connection as it would have ended; the kernel's program hears of it",
        "RFC 9293, 3.10.7.4, second",
        lambda m: (
            m.state in ("CLOSING", "LAST_ACK")
            and "R" in m.flags
            and m.ours.state == m.kernel.state == "CLOSED"
            and (m.ours.programs[-1].error, m.kernel.programs[-1].error) == ("", "reset")
        ),
    ),
    Decision(
        "simultaneous open: the peer's SYN and ACK is not answered; the kernel takes it for an old SYN and does",
        "RFC 9293, 3.5, figure 7",
        lambda m: (
            m.state == "SYN_RECEIVED"
            and {"S", "A"} <= set(m.flags)
            and m.place.seq == -1
            and m.ours.state == m.kernel.state == "ESTABLISHED"
            and m.answers == ("", "A")
        ),
    ),
    Decision(
        "what the window does not let out whole waits; the kernel fills the window up",
        "RFC 9293, 3.8.6.2.1",
        lambda m: (
            m.amounts
            and len(m.kernel.sent) == 1
            and 0 < m.kernel.sent[0].length - sum(one.length for one in m.ours.sent) < 1460
            and (m.called == "write" or "A" in m.flags)
        ),
    ),
    Decision(
        "all that the windows allow is sent at once; the kernel holds whole segments back for its device's queue",
        "RFC 5681, 3.1",
        lambda m: (
            m.amounts
            and m.called == "write"
            and 0 < sum(one.length for one in m.kernel.sent) < sum(one.length for one in m.ours.sent) <= 4380
        ),
    ),
    Decision(
        "in TIME-WAIT, too, an acknowledgment that cannot be is challenged; the kernel does not look at it",
        "RFC 9293, 3.10.7.4, fifth",
        lambda m: (
            m.state == "TIME_WAIT"
            and m.only_sent
            and m.answers == ("A", "")
            and "A" in m.flags
            and not -65535 <= m.place.ack <= m.place.flight
        ),
    ),
    Decision(
        "only a reset at RCV.NXT resets; behind the peer's FIN the kernel takes one at the FIN, too",
        "RFC 5961, 3.2",
        lambda m: m.state in AFTER_FIN and "R" in m.flags and m.place.seq == -1 and m.kernel.state == "CLOSED",
    ),
    Decision(
        "a FIN before text that came already: the peer contradicts itself; the kernel takes the FIN, ours the text",
        "RFC 9293, 3.10.7.4, eighth",
        lambda m: (
            any(_text_ahead(*one) for one in m.before)
            and any(
                "F" in step.flags for step, _, _ in [*m.before, (m.step, m.ours, m.kernel)] if isinstance(step, Segment)
            )
            and m.kernel.state != m.ours.state
        ),
    ),
    Decision(
        "a SYN is sent again when its time is over; the kernel does it at once after an answer to an older one",
        "RFC 9293, 3.5.1",
        lambda m: (
            m.state == "SYN_SENT"
            and m.only_sent
            and m.ours.sent == tuple(one for one in m.kernel.sent if one.flags != "S")
        ),
    ),
    Decision(
        "text with an old acknowledgment is taken; the kernel drops it with the acknowledgment",
        "RFC 5961, 5.2",
        lambda m: (
            any(_text_ahead(*one) and one[1].place.ack < 0 for one in m.before) and m.answers in (("A", "A"), ("A", ""))
        ),
    ),
    Decision(
        "in SYN-RECEIVED acknowledgments and resets have SND.NXT, which the peer expects; the kernel stays within the"
        " window of a SYN that offers none",
        "RFC 9293, 3.10.7.4, first",
        lambda m: (
            m.state == "SYN_RECEIVED"
            and m.only_sent
            and m.answers in (("A", "A"), ("RA", "RA"))
            and m.ours.sent[0].seq == m.kernel.sent[0].seq + 1
        ),
    ),
    Decision(
        "in SYN-RECEIVED the sequence number is looked at before the acknowledgment; the kernel does it the other way",
        "RFC 9293, 3.10.7.4, first",
        lambda m: m.state == "SYN_RECEIVED" and m.only_sent and m.answers == ("A", "R") and "A" in m.flags,
    ),
    Decision(
        "a SYN within the window returns a passive open to LISTEN; the kernel resets the peer, too",
        "RFC 9293, 3.10.7.4, fourth",
        lambda m: (
            m.state == "SYN_RECEIVED"
            and "S" in m.flags
            and m.answers in (("", "RA"), ("", "R"))
            and m.ours.state == "CLOSED"
        ),
    ),
    Decision(
        "an acknowledgment that is due at once rides on the FIN that is; the kernel sends both",
        "RFC 9293, 3.8.6.3",
        lambda m: m.only_sent and m.answers == ("FA", "FA A"),
    ),
    Decision(
        "text and FIN of a SYN are taken when the handshake is done; the kernel leaves them to be sent again",
        "RFC 9293, 3.10.7.2, third, and 3.10.7.3",
        lambda m: (
            m.state in ("SYN_SENT", "SYN_RECEIVED")
            and "A" in m.flags
            and any(
                "S" in step.flags and ("F" in step.flags or step.length > 0)
                for step in [*(one[0] for one in m.before), m.step]
                if isinstance(step, Segment)
            )
        ),
    ),
    Decision(
        "abort() in CLOSING and LAST-ACK deletes the connection; the kernel resets the peer",
        "RFC 9293, 3.10.5",
        lambda m: m.called == "abort" and m.state in ("CLOSING", "LAST_ACK") and m.answers == ("", "RA"),
    ),
]


def explained(moment: Moment) -> Decision | None:
    return next((decision for decision in DECISIONS if decision.matches(moment)), None)


def _shrank(m: Moment) -> bool:
    window = 0
    for step, our, _ in [*m.before, (m.step, m.ours, m.kernel)]:
        if isinstance(step, Segment) and "A" in step.flags and our.place.ack <= our.place.flight:
            if step.window < window and our.place.ack <= 0:
                return True
            window = step.window
    return False


def _text_ahead(step: Step, our: Result, _: Result) -> bool:
    """Text that came out of order."""
    return isinstance(step, Segment) and step.length > 0 and our.place.seq > 0 and "A" in step.flags


def _malformed(options: bytes) -> bool:
    at = 0
    while at < len(options) and options[at]:
        if options[at] == 1:
            at += 1
            continue
        length = options[at + 1] if at + 1 < len(options) else 0
        if length < 2 or at + length > len(options) or (options[at] == 2 and length != 4):
            return True
        at += length
    return False
