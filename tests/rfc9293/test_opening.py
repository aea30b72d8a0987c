"""RFC 9293, 3.4.1, 3.5 and 3.9.1.1: initial sequence numbers, opening connections, OPEN."""

from itertools import pairwise

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from netapp.net.config import InterfaceConfig
from tests.support.stack import OURS, SECOND, THEIRS, Recorder, Stack, flags_of, stack

OTHER = "10.99.1.2"
TWO = InterfaceConfig(f"{OURS}/24", secondary=(f"{OTHER}/24",), announce=False)
# There is a way to every address.
ROUTED = InterfaceConfig(f"{OURS}/24", gateway=THEIRS, announce=False)


def initial_number(s: Stack, port: int) -> int:
    """Of the answer to a SYN from this port; the connection is given up again."""
    peer = s.peer(port=port)
    peer.send("S")
    syn = peer.one()
    assert flags_of(syn) == "SA"
    peer.send("R")
    return syn.seq


def test_must_8_initial_numbers_follow_a_clock() -> None:
    """One about every 4 microseconds, for the same two ends."""
    with stack() as s:
        s.listen()
        before = initial_number(s, 40000)
        for seconds in (1, 10, 1000, 16000):
            s.advance(seconds * SECOND)
            after = initial_number(s, 40000)
            # Modulo 2 to the 32nd, which the clock passes in some 4.9 hours.
            assert ((after - before) % 2**32) / 250_000 == pytest.approx(seconds, rel=0.05)
            before = after


def test_shld_1_initial_numbers_differ_by_connection() -> None:
    with stack() as s:
        s.listen()
        numbers = [initial_number(s, port) for port in range(40000, 40032)]
        steps = {(after - before) % 2**32 for before, after in pairwise(numbers)}
        # No step says anything about the next.
        assert len(steps) == 31
        spread = sum(1 << 24 < step < 2**32 - (1 << 24) for step in steps)
        assert spread > 20


def test_must_9_initial_numbers_depend_on_a_secret() -> None:
    """All but the secret is the same: time, addresses, ports."""
    found = []
    for seed in (1, 2, 3, 1):
        with stack(seed=seed) as s:
            s.listen()
            found.append([initial_number(s, port) for port in (40000, 40001)])
    assert found[0] == found[3]
    # Not even the distance between two connections' numbers is the same.
    assert len({number[0] for number in found}) == 3
    assert len({(number[1] - number[0]) % 2**32 for number in found}) == 3


def test_must_10_simultaneous_open() -> None:
    with stack() as s:
        handler, peer = s.connect(Recorder(receive=lambda self, data: self.send(data)))
        peer.send("S", options=[("MSS", 1460)])
        answer = peer.one()
        assert flags_of(answer) == "SA" and answer.seq == peer.syn.seq and answer.ack == peer.seq
        assert s.state() == "SYN_RECEIVED" and handler.calls == []
        # The peer, in SYN-RECEIVED too, acknowledges with its SYN.
        peer.send("SA", seq=peer.seq - 1)
        assert s.state() == "ESTABLISHED" and handler.calls == ["connected"]
        peer.get()
        peer.send("PA", b"hello")
        peer.get()
        assert peer.received == b"hello"


def test_must_11_syn_received_out_of_listen_returns_there() -> None:
    with stack() as s:
        made = s.listen()
        peer = s.peer()
        peer.send("S")
        assert flags_of(peer.one()) == "SA" and s.state() == "SYN_RECEIVED"
        peer.send("R")
        assert s.state() == "CLOSED"
        # The user is not told: there is no handler yet; and the port listens on.
        assert made == []
        s.peer().open()
        assert [one.calls for one in made] == [["connected"]]


def test_must_11_syn_received_out_of_syn_sent_is_refused() -> None:
    with stack() as s:
        handler, peer = s.connect()
        peer.send("S")
        assert flags_of(peer.one()) == "SA" and s.state() == "SYN_RECEIVED"
        peer.send("RA")
        assert s.state() == "CLOSED"
        assert handler.calls == ["closed"] and isinstance(handler.error, ConnectionRefusedError)


def test_shld_2_a_reset_may_have_text() -> None:
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        peer.send("RA", b"this is why")
        assert made[0].calls == ["connected", "closed"] and made[0].data == b""
        assert isinstance(made[0].error, ConnectionResetError)


def test_must_41_a_passive_open_leaves_what_is_there() -> None:
    with stack() as s:
        made = s.listen()
        peer = s.peer().open()
        half = s.peer(port=40001)
        half.send("S")
        half.syn = half.one()
        # The same once more is an error; another port, and this one at one address, are new.
        with pytest.raises(OSError):
            s.tcp.listen(7, Recorder)
        s.tcp.listen(8, Recorder)
        s.tcp.listen(7, Recorder, OURS)
        half.send("A")
        peer.send("PA", b"one")
        half.send("PA", b"two")
        assert [one.data for one in made] == [b"one", b"two"]
        s.peer(port=40002, to=8).open()
        assert len(made) == 2


@pytest.mark.parametrize("state", ["SYN_SENT", "SYN_RECEIVED"])
def test_must_42_listen_on_the_port_of_a_connection_that_opens(state: str) -> None:
    with stack() as s:
        handler, opening = s.connect(local_port=7)
        if state == "SYN_RECEIVED":
            opening.send("S")
            assert flags_of(opening.one()) == "SA"
        assert s.state() == state
        made = s.listen(7)
        s.peer().open().send("PA", b"new")
        assert made[-1].data == b"new"
        # The one that was opening goes on.
        opening.send("SA", seq=1000)
        assert handler.calls == ["connected"]


@pytest.mark.parametrize("address", [OURS, OTHER])
def test_must_43_the_local_address_can_be_given(address: str) -> None:
    """To an active OPEN, also where another one is nearer, and to a passive one."""
    with stack(interface=TWO) as s:
        s.tcp.connect(THEIRS, 80, Recorder, local_address=address)
        [frame] = s.frames()
        assert Ether(frame)[IP].src == address and Ether(frame)[TCP].flags == "S"
        made = s.listen(7, address=address)
        s.peer(address=address).open()
        elsewhere = s.peer(port=40001, address=OURS if address == OTHER else OTHER)
        elsewhere.send("S")
        assert flags_of(elsewhere.one()) == "RA" and len(made) == 1


@pytest.mark.parametrize("address", [THEIRS, "10.99.0.77", "224.0.0.1", "0.0.0.0"])
def test_must_43_it_has_to_be_ours(address: str) -> None:
    with stack() as s:
        with pytest.raises(OSError):
            s.tcp.connect(THEIRS, 80, Recorder, local_address=address)
        with pytest.raises(OSError):
            s.listen(7, address=address)
        assert s.frames() == []


def test_must_44_ip_chooses_the_address_of_a_syn() -> None:
    """The one on the subnet of the next hop."""
    with stack(interface=TWO) as s:
        for remote, ours in ((THEIRS, OURS), ("10.99.1.1", OTHER), (THEIRS, OURS)):
            s.tcp.connect(remote, 80, Recorder)
            [frame] = s.frames()
            assert Ether(frame)[IP].src == ours and Ether(frame)[TCP].flags == "S"


@pytest.mark.parametrize("address", [OURS, OTHER])
def test_must_45_the_local_address_stays(address: str) -> None:
    with stack(interface=TWO) as s:
        made = s.echo()
        peer = s.peer(address=address)
        frames: list[bytes] = []
        for flags, payload in (("S", b""), ("A", b""), ("PA", b"x" * 1000), ("A", b"y"), ("FA", b"")):
            peer.send(flags, payload)
            frames += s.frames()
            peer.ack = Ether(frames[0])[TCP].seq + 1
        made[0].close()
        s.advance(20 * SECOND)
        sent = [Ether(frame)[IP] for frame in frames + s.frames()]
        assert len(sent) > 8 and {ip.src for ip in sent} == {address}
        assert any(ip[TCP].flags.F for ip in sent) and made[0].connection.local == (address, 7)


@pytest.mark.parametrize("remote", ["10.99.0.255", "10.99.0.0", "255.255.255.255", "224.0.0.1", "239.1.2.3", "0.0.0.0"])
def test_must_46_no_connection_to_a_group(remote: str) -> None:
    with stack(interface=ROUTED) as s:
        with pytest.raises(OSError):
            s.tcp.connect(remote, 80, Recorder)
        assert s.frames() == [] and s.tcp.connections() == []


@pytest.mark.parametrize(
    "source",
    ["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "10.99.0.255", OURS],
)
def test_must_63_a_syn_from_an_invalid_address_is_ignored(source: str) -> None:
    with stack(interface=ROUTED) as s:
        s.listen()
        s.peer().open()
        syn = IP(src=source, dst=OURS) / TCP(sport=50000, dport=7, flags="S", seq=1)
        s.send_frame(bytes(Ether(src=s.end.mac, dst=s.wire.a.mac) / syn))
        assert s.frames() == [] and len(s.tcp.connections()) == 1


@pytest.mark.parametrize("flags", ["S", "A", "FA", "SA", "PA"])
@pytest.mark.parametrize("destination", ["10.99.0.255", "255.255.255.255", "224.0.0.1"])
def test_must_57_a_segment_to_a_group_is_dropped_silently(destination: str, flags: str) -> None:
    with stack() as s:
        s.listen()
        s.peer().open()
        segment = IP(src=THEIRS, dst=destination) / TCP(sport=50000, dport=7, flags=flags, seq=1, ack=1)
        for mac in ("ff:ff:ff:ff:ff:ff", s.wire.a.mac):
            s.send_frame(bytes(Ether(src=s.end.mac, dst=mac) / segment))
        assert s.frames() == [] and len(s.tcp.connections()) == 1
