"""What a node answers to frames of a host. Each check is given a way to send and receive them, whatever that is."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from itertools import count
from typing import Any

import dpkt
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

from tests.everywhere.frames import BROADCAST, HOST, HOST_MAC, OURS, Frames

PORT, CLOSED = 11211, 4
VERSION = b"VERSION 1.6.18\r\n"
Check = Callable[[Frames], None]
_ports = count(20_000)


def payload(length: int) -> bytes:
    return bytes((i * 7 + i // 251) % 256 for i in range(length))


def packet_of(frame: bytes, frames: Frames) -> dpkt.ip.IP:
    """From the node to the host, with checksums that are right."""
    ethernet = dpkt.ethernet.Ethernet(frame)
    assert (ethernet.dst, ethernet.src, ethernet.type) == (HOST_MAC, frames.mac, 0x0800)
    packet = ethernet.data
    assert (packet.src, packet.dst) == (socket.inet_aton(OURS), socket.inet_aton(HOST))
    assert dpkt.in_cksum(frame[14 : 14 + packet.hl * 4]) == 0
    if not packet.mf and not packet.offset:
        body = frame[14 + packet.hl * 4 : 14 + packet.len]
        pseudo = packet.src + packet.dst + bytes([0, packet.p]) + len(body).to_bytes(2, "big")
        assert dpkt.in_cksum(body if packet.p == 1 else pseudo + body) == 0, "bad checksum"
    return packet


def segment_of(frame: bytes, frames: Frames) -> dpkt.tcp.TCP:
    segment = packet_of(frame, frames).data
    assert isinstance(segment, dpkt.tcp.TCP)
    return segment


def flags_of(segment: dpkt.tcp.TCP) -> str:
    return "".join(letter for bit, letter in enumerate("FSRPAUEC") if segment.flags & 1 << bit)


class Connection:
    """Each segment of it is the check's."""

    def __init__(self, frames: Frames, to: int = PORT, seq: int = 2**32 - 3) -> None:
        self.frames = frames
        self.port, self.to = next(_ports), to
        self.seq, self.ack = seq, 0
        self.received = b""

    def segment(self, flags: str, text: bytes = b"", **fields: Any) -> bytes:
        header = TCP(
            sport=self.port,
            dport=self.to,
            flags=flags,
            seq=fields.pop("seq", self.seq) % 2**32,
            ack=fields.pop("ack", self.ack) % 2**32,
            window=fields.pop("window", 60_000),
            **fields,
        )
        return self.frames.to_us(header / text)

    def send(self, flags: str, text: bytes = b"", answers: int = 0, **fields: Any) -> list[dpkt.tcp.TCP]:
        """What comes back at once; the numbers move on, unless `seq` was given."""
        frame = self.segment(flags, text, **fields)
        if "seq" not in fields:
            self.seq = (self.seq + len(text) + ("S" in flags) + ("F" in flags)) % 2**32
        return self.take(self.frames.exchange(frame, answers=answers))

    def take(self, frames: list[bytes]) -> list[dpkt.tcp.TCP]:
        found = [segment_of(frame, self.frames) for frame in frames]
        for segment in found:
            assert (segment.sport, segment.dport) == (self.to, self.port)
            if segment.flags & dpkt.tcp.TH_SYN:
                self.ack = segment.seq + 1
            elif segment.data or segment.flags & dpkt.tcp.TH_FIN:
                assert segment.seq == self.ack % 2**32
                self.received += segment.data
                self.ack += len(segment.data) + bool(segment.flags & dpkt.tcp.TH_FIN)
        return found

    def open(self, **fields: Any) -> dpkt.tcp.TCP:
        (answer,) = self.send("S", answers=1, **fields)
        assert flags_of(answer) == "SA" and answer.ack == self.seq
        self.send("A")
        return answer

    def asks(self) -> None:
        """It is in order."""
        before = len(self.received)
        (answer,) = self.send("PA", b"version\r\n", answers=1)
        assert answer.ack == self.seq and self.received[before:] == VERSION
        self.send("A")

    def reset(self) -> None:
        self.send("R")


# --- ARP (RFC 826)


def an_arp_request_is_answered(frames: Frames) -> None:
    ethernet = dpkt.ethernet.Ethernet(frames.greet())
    assert (ethernet.dst, ethernet.src, ethernet.data.op) == (HOST_MAC, frames.mac, 2)
    found = ethernet.data
    assert (found.sha, found.spa) == (frames.mac, socket.inet_aton(OURS))
    assert (found.tha, found.tpa) == (HOST_MAC, socket.inet_aton(HOST))


def other_arp_is_not(frames: Frames) -> None:
    link = Ether(src=HOST_MAC, dst=BROADCAST)
    asked = ARP(op=1, hwsrc=HOST_MAC, psrc=HOST, pdst=OURS)
    whole = bytes(link / asked)
    frames.exchange(
        link / ARP(op=1, hwsrc=HOST_MAC, psrc=HOST, pdst="10.99.0.77"),
        whole[:30],
        whole[:14] + b"\0\7" + whole[16:],
        whole[:18] + b"\x08" + whole[19:],
        whole[:20] + b"\0\x09" + whole[22:],
    )


# --- ICMP (RFC 792)


def echoes_of_all_lengths(frames: Frames) -> None:
    for length in (0, 1, 18, 19, 56, 1471, 1472):
        (answer,) = frames.exchange(frames.to_us(ICMP(id=7, seq=length) / payload(length)), answers=1)
        found = packet_of(answer, frames).data
        assert (found.type, found.code, found.data.id, found.data.seq) == (0, 0, 7, length)
        assert found.data.data == payload(length)


def _fragments(frames: Frames, length: int, number: int, size: int = 1480) -> list[bytes]:
    """Of an echo request."""
    whole = IP(src=HOST, dst=OURS, id=number) / ICMP(id=7, seq=number) / Raw(payload(length))
    return [bytes(Ether(src=HOST_MAC, dst=frames.mac) / piece) for piece in fragment(whole, size)]


def _joined(answers: list[bytes], frames: Frames) -> bytes:
    """What fragments carry; they fit together."""
    found = sorted((packet_of(answer, frames) for answer in answers), key=lambda packet: packet.offset)
    assert len({packet.id for packet in found}) == 1
    whole = b""
    for packet in found:
        assert packet.offset * 8 == len(whole), [packet.offset for packet in found]
        assert bool(packet.mf) == (packet is not found[-1])
        whole += bytes(packet)[20 : packet.len]
    return whole


def echoes_in_fragments(frames: Frames) -> None:
    for number, length in enumerate((1473, 4000, 20_000, 65_507), 100):
        pieces = _fragments(frames, length, number)
        random.Random(length).shuffle(pieces)
        got = _joined(frames.exchange(*pieces, answers=len(pieces)), frames)
        assert dpkt.in_cksum(got) == 0 and got[0] == 0 and got[8:] == payload(length)


def fragments_that_overlap_are_dropped(frames: Frames) -> None:
    """RFC 5722 says why. What is not whole waits, and stops nobody."""
    pieces = _fragments(frames, 4000, 200)
    other = bytes(Ether(pieces[1])[IP].payload)
    moved = IP(src=HOST, dst=OURS, id=200, proto=1, flags="MF", frag=180) / Raw(other)
    frames.exchange(pieces[0], Ether(src=HOST_MAC, dst=frames.mac) / moved, *pieces[1:])
    frames.exchange(*_fragments(frames, 4000, 201)[:-1])
    echoes_of_all_lengths(frames)


def echoes_that_are_not_answered(frames: Frames) -> None:
    link = Ether(src=HOST_MAC, dst=BROADCAST)
    asked = ICMP(id=7, seq=1) / b"x"
    bad = bytearray(frames.to_us(asked))
    bad[36] ^= 1
    frames.exchange(
        link / IP(src=HOST, dst="10.99.0.255") / asked,
        link / IP(src=HOST, dst="255.255.255.255") / asked,
        bad,
        frames.to_us(asked, dst="10.99.0.78"),
        frames.to_us(asked, src="10.99.0.255"),
        frames.to_us(asked, src="224.0.0.1"),
        frames.to_us(asked, src="127.0.0.1"),
    )


# --- TCP (RFC 9293)


def a_connection_is_opened_used_and_closed(frames: Frames) -> None:
    made = Connection(frames)
    answer = made.open(options=[("MSS", 1460), ("NOP", None), ("WScale", 7)])
    options = dict(dpkt.tcp.parse_opts(answer.opts))
    assert options[2] == (1460).to_bytes(2, "big") and 3 in options  # 3.7.1; RFC 7323, 2.2
    made.asks()
    (fin,) = made.send("FA", answers=1)
    assert flags_of(fin) == "FA" and fin.ack == made.seq
    made.send("A")
    # TIME-WAIT or not, it is gone for what comes late.
    made.frames.exchange(made.segment("R"))


def options_that_are_not_offered_are_not_used(frames: Frames) -> None:
    """And what nobody knows is stepped over, or not whole."""
    for options in ([], [(253, b"\1\2\3\4")], [("NOP", None)] * 40):
        made = Connection(frames)
        answer = made.open(options=options)
        assert {kind for kind, _ in dpkt.tcp.parse_opts(answer.opts)} - {1} == {2}
        made.asks()
        made.reset()
    for raw in (b"\x02\x00\x05\xb4", b"\x02\x40\x05\xb4", b"\x08\x0a\0\0", b"\x03"):
        made = Connection(frames)
        segment = made.segment("S", options=[])
        assert segment  # an option that is too short, too long, cut
        padded = raw.ljust(-(-len(raw) // 4) * 4, b"\1")
        header = TCP(bytes(Ether(segment)[TCP])[:20] + padded)
        header.dataofs, header.chksum = 5 + len(padded) // 4, None
        frames.exchange(frames.to_us(Raw(_summed(bytes(header))), proto=6), answers=None)
        made.frames.exchange(made.segment("R", seq=made.seq + 1), answers=None)


def _summed(segment: bytes) -> bytes:
    """With its checksum."""
    segment = segment[:16] + b"\0\0" + segment[18:]
    pseudo = socket.inet_aton(HOST) + socket.inet_aton(OURS) + b"\0\6" + len(segment).to_bytes(2, "big")
    return segment[:16] + dpkt.in_cksum(pseudo + segment).to_bytes(2, "big") + segment[18:]


def a_closed_port_resets(frames: Frames) -> None:
    """3.5.2, group 1; 3.10.7.1."""
    made = Connection(frames, CLOSED)
    (answer,) = made.send("S", answers=1)
    assert flags_of(answer) == "RA" and (answer.seq, answer.ack) == (0, made.seq)
    (answer,) = made.send("A", answers=1, ack=777)
    assert flags_of(answer) == "R" and answer.seq == 777
    made.send("R")
    (answer,) = Connection(frames).send("A", answers=1, ack=778)  # to a port where somebody listens
    assert flags_of(answer) == "R" and answer.seq == 778


def a_bad_checksum_is_no_segment(frames: Frames) -> None:
    """3.1 (MUST-3)."""
    made = Connection(frames)
    made.send("S", chksum=0xBEEF)
    made.seq -= 1
    made.open()
    made.send("PA", b"version\r\n", chksum=0xBEEF)
    made.seq -= 9
    made.asks()
    bad = bytearray(made.segment("PA", b"version\r\n"))
    bad[-1] ^= 0x10
    frames.exchange(bad)
    made.asks()
    made.reset()


def what_is_not_in_the_window_is_acknowledged(frames: Frames) -> None:
    """3.10.7.4, first; RFC 5961 for resets and SYNs that may be forged."""
    made = Connection(frames)
    made.open()
    made.asks()
    for flags, text, seq in (("PA", b"x", made.seq + (1 << 30)), ("SA", b"", made.seq), ("R", b"", made.seq + 5)):
        (answer,) = made.send(flags, text, answers=1, seq=seq)
        assert flags_of(answer) == "A" and answer.ack == made.seq % 2**32
    made.send("R", seq=made.seq - 1000)  # a reset outside it is nothing
    made.asks()
    made.reset()
    made.seq += 1
    (answer,) = made.send("A", answers=1)
    assert flags_of(answer) == "R"


def text_in_any_order(frames: Frames) -> None:
    made = Connection(frames)
    made.open()
    script = b"version\r\n" * 3
    pieces = [(at, script[at : at + 4]) for at in range(0, len(script), 4)]
    random.Random(3).shuffle(pieces)
    made.take(frames.exchange(*(made.segment("A", text, seq=made.seq + at) for at, text in pieces), answers=None))
    for _ in range(5):
        if len(made.received) == 3 * len(VERSION):
            break
        made.take(frames.exchange(answers=None))
    assert made.received == VERSION * 3
    made.seq += len(script)
    made.asks()
    made.reset()


def a_large_value_both_ways(frames: Frames) -> None:
    """In segments of the MSS that was offered, and in a small window."""
    made = Connection(frames)
    made.open(options=[("MSS", 1000)])
    value = payload(20_000)
    stored = b"set packets 0 0 20000\r\n" + value + b"\r\n"
    segments = []
    for at in range(0, len(stored), 1400):
        segments.append(made.segment("PA", stored[at : at + 1400]))
        made.seq = (made.seq + len(stored[at : at + 1400])) % 2**32
    while made.received != b"STORED\r\n":
        made.take(frames.exchange(*segments, answers=None))
        segments = []
    made.received = b""
    wanted = b"VALUE packets 0 20000\r\n" + value + b"\r\nEND\r\n"
    found = made.take(frames.exchange(made.segment("PA", b"get packets\r\n", window=4000), answers=None))
    made.seq += len(b"get packets\r\n")
    largest = 0
    while len(made.received) < len(wanted):
        largest = max([largest, *(len(segment.data) for segment in found)])
        found = made.take(frames.exchange(made.segment("A", window=4000), answers=None))
    assert made.received == wanted and largest == 1000
    made.reset()


# --- UDP (RFC 768)


def datagrams_are_answered(frames: Frames) -> None:
    asked = (1).to_bytes(2, "big") + b"\0\0\0\1\0\0" + b"version\r\n"
    for fields in ({}, {"chksum": 0}):  # none
        frame = frames.to_us(UDP(sport=4000, dport=PORT, **fields) / asked)
        (answer,) = frames.exchange(frame, answers=1)
        found = packet_of(answer, frames).data
        assert (found.sport, found.dport, found.data) == (PORT, 4000, asked[:8] + VERSION)
    frames.exchange(
        frames.to_us(UDP(sport=4000, dport=PORT, chksum=0xBEEF) / asked),
        frames.to_us(UDP(sport=4000, dport=PORT, len=200) / asked),
        frames.to_us(UDP(sport=4000, dport=PORT, len=3) / asked),
    )


def a_closed_port_is_unreachable(frames: Frames) -> None:
    """RFC 1122, 4.1.3.1, and 3.2.2: it quotes the packet."""
    asked = frames.to_us(UDP(sport=4000, dport=CLOSED) / b"hello")
    (answer,) = frames.exchange(asked, answers=1)
    found = packet_of(answer, frames).data
    assert (found.type, found.code) == (3, 3) and bytes(found)[8:] == asked[14:]


# --- whatever else comes


def frames_for_others(frames: Frames) -> None:
    asked = IP(src=HOST, dst=OURS) / ICMP(id=7, seq=1)
    frames.exchange(
        Ether(src=HOST_MAC, dst="02:00:00:00:00:77") / asked,
        Ether(src=HOST_MAC, dst=frames.mac) / Dot1Q(vlan=5) / asked,
        Ether(src=HOST_MAC, dst=frames.mac, type=0x86DD) / bytes(asked),
        Ether(src=HOST_MAC, dst=frames.mac, type=0x88B5) / bytes(100),
        Ether(src=HOST_MAC, dst=frames.mac, type=40) / bytes(100),
    )


def headers_that_do_not_fit(frames: Frames) -> None:
    """Cut, and with lengths and versions that are wrong: nothing is answered."""
    asked = frames.to_us(TCP(sport=4000, dport=CLOSED, flags="S"))
    link, packet = asked[:14], asked[14:]

    def changed(at: int, value: int) -> bytes:
        header = bytearray(packet[:20])
        header[at] = value
        header[10:12] = bytes(2)
        header[10:12] = dpkt.in_cksum(bytes(header)).to_bytes(2, "big")
        return link + header + packet[20:]

    frames.exchange(
        *(asked[:length] for length in range(14, 54, 3)),
        *(changed(0, value) for value in (0x05, 0x44, 0x4F, 0x65, 0xFF)),
        *(changed(3, value) for value in (0, 19, 39, 200)),
        changed(2, 0xFF),
        changed(9, 0),
        changed(9, 255),
        link + packet[:10] + b"\0\0" + packet[12:],
        answers=None,
    )
    echoes_of_all_lengths(frames)


def frames_made_by_chance(frames: Frames) -> None:
    """Good ones with some bytes changed, and bytes that mean nothing. It lives."""
    chance = random.Random(5)
    seeds = [
        frames.to_us(TCP(sport=4000, dport=PORT, flags="S", options=[("MSS", 1460), ("WScale", 3)])),
        frames.to_us(TCP(sport=4000, dport=PORT, flags="PA", seq=1) / b"get a\r\n"),
        frames.to_us(UDP(sport=4000, dport=PORT) / b"\0\1\0\0\0\1\0\0get a\r\n"),
        frames.to_us(ICMP(id=7, seq=1) / payload(100)),
        frames.to_us(ICMP(type=3, code=4) / bytes(60)),
        bytes(Ether(src=HOST_MAC, dst=BROADCAST) / ARP(op=1, hwsrc=HOST_MAC, psrc="10.99.0.50", pdst=OURS)),
    ]
    for _ in range(20):
        made = []
        for _ in range(25):
            frame = bytearray(chance.choice(seeds))
            for _ in range(chance.randint(1, 4)):
                frame[chance.randrange(12, len(frame))] = chance.randrange(256)
            if chance.random() < 0.2:
                frame = frame[: chance.randint(14, len(frame))]
            made.append(bytes(frame))
        made.append(frames.mac + HOST_MAC + chance.randbytes(chance.randint(2, 1500)))
        frames.exchange(*made, answers=None)
    frames.greet()
    echoes_of_all_lengths(frames)
    made_up = Connection(frames)
    made_up.open()
    made_up.asks()
    made_up.reset()


CHECKS: tuple[Check, ...] = (
    an_arp_request_is_answered,
    other_arp_is_not,
    echoes_of_all_lengths,
    echoes_in_fragments,
    fragments_that_overlap_are_dropped,
    echoes_that_are_not_answered,
    a_connection_is_opened_used_and_closed,
    options_that_are_not_offered_are_not_used,
    a_closed_port_resets,
    a_bad_checksum_is_no_segment,
    what_is_not_in_the_window_is_acknowledged,
    text_in_any_order,
    a_large_value_both_ways,
    datagrams_are_answered,
    a_closed_port_is_unreachable,
    frames_for_others,
    headers_that_do_not_fit,
    frames_made_by_chance,
)
