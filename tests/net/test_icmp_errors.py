"""ICMP errors that come (RFC 1122, 3.2.2), and those that are sent, and are not."""

import dpkt
import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.l2 import ARP, Ether

from netapp.wire import icmp, ipv4
from tests.support.network import HOST_ADDRESS, HOST_MAC, OUR_ADDRESS, OUR_MAC, Node, network_node
from tests.support.stack import OURS, THEIRS, Stack, stack

US, HOST, FAR = b"\x0a\x63\0\2", b"\x0a\x63\0\1", b"\xc0\0\2\1"


def greet(node: Node, address: str = HOST_ADDRESS) -> None:
    node.exchange(Ether(src=HOST_MAC, dst=b"\xff" * 6) / ARP(hwsrc=HOST_MAC, psrc=address, pdst=OUR_ADDRESS))


def frame(packet: bytes, to: bytes = OUR_MAC) -> bytes:
    return to + HOST_MAC + b"\x08\0" + packet


def unknown(payload: bytes = bytes(40), **fields: int | bytes) -> bytes:
    """Of a protocol that nobody takes."""
    source = fields.pop("source", HOST)
    return frame(ipv4.build(source, US, 253, payload, **fields))  # type: ignore[arg-type]


def messages(frames: list[bytes]) -> list[dict[str, object]]:
    found = []
    for one in frames:
        fields = icmp.parse(ipv4.parse(one[14:])["payload"])
        assert fields["valid"]
        found.append(fields)
    return found


# --- out ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("options", "length"), [(b"", 40), (b"\x94\x04\0\0" * 10, 40), (b"", 0), (b"", 1400)])
def test_what_is_quoted(options: bytes, length: int) -> None:
    """The header and as much as fits into 576 bytes (RFC 1812, 4.3.2.3)."""
    data = unknown((bytes(range(256)) * 6)[:length], options=options)
    with network_node() as node:
        greet(node)
        (reply,) = node.exchange(data)
        (fields,) = messages([reply])
        assert (fields["type"], fields["code"], fields["rest"]) == (icmp.UNREACHABLE, 2, 0)
        assert len(reply) == min(14 + 28 + len(data) - 14, 14 + 576)
        assert fields["payload"] == data[14:][: 576 - 28]
        packet = dpkt.ethernet.Ethernet(reply).data
        assert (packet.src, packet.dst, packet.df) == (US, HOST, 0)
        assert node.counters()["ipv4_unknown_protocol"] == node.counters()["icmp_errors_sent"] == 1


@pytest.mark.parametrize(
    "data",
    [
        frame(ipv4.build(HOST, b"\x0a\x63\0\xff", 253, bytes(20)), b"\xff" * 6),
        frame(ipv4.build(HOST, b"\x0a\x63\0\xff", 253, bytes(20))),
        frame(ipv4.build(HOST, b"\xff" * 4, 253, bytes(20)), b"\xff" * 6),
        frame(ipv4.build(HOST, b"\xe0\0\0\1", 253, bytes(20)), b"\1\0\x5e\0\0\1"),
        unknown(fragment=1),
        unknown(fragment=0x2001),
        # About an error: of ICMP, with bad options.
        frame(ipv4.build(HOST, US, 1, icmp.build(icmp.UNREACHABLE, 1, 0, bytes(28)), options=b"\x07\x01\x04\0")),
        frame(ipv4.build(HOST, US, 1, icmp.build(icmp.TIME_EXCEEDED, 0, 0, bytes(28)), options=b"\x07\x01\x04\0")),
        frame(ipv4.build(HOST, US, 1, icmp.build(200, 0, 0, bytes(28)), options=b"\x07\x01\x04\0")),
        frame(ipv4.build(HOST, US, 1, b"", options=b"\x07\x01\x04\0")),
    ],
)
def test_never_about(data: bytes) -> None:
    """RFC 1122, 3.2.2."""
    with network_node() as node:
        greet(node)
        assert node.exchange(data) == []
        assert node.counters()["icmp_errors_forbidden"] == 1


@pytest.mark.parametrize("source", [b"\0\0\0\0", b"\x7f\0\0\1", b"\xe0\0\0\1", b"\xff" * 4, b"\x0a\x63\0\xff", US])
def test_never_to_what_is_no_host(source: bytes) -> None:
    with network_node() as node:
        assert node.exchange(unknown(source=source)) == []
        assert node.counters()["ipv4_bad_source"] == 1


def test_a_first_fragment_of_an_unknown_protocol() -> None:
    with network_node() as node:
        greet(node)
        assert len(node.exchange(unknown(fragment=0x2000))) == 1
        assert "ipv4_fragments" not in node.counters()


def test_limit_of_a_destination() -> None:
    """Six at once, then one a second."""
    with network_node() as node:
        greet(node)
        assert len(node.exchange(*[unknown()] * 10)) == 6
        assert node.counters()["icmp_errors_limited"] == 4
        node.advance(0.9)
        assert node.exchange(unknown()) == []
        node.advance(0.2)
        assert len(node.exchange(unknown(), unknown())) == 1
        node.advance(30)
        assert len(node.exchange(*[unknown()] * 10)) == 6


def test_limit_of_all() -> None:
    """Fifty at once, then one in a millisecond, whoever they are for."""
    with network_node(gateway=HOST_ADDRESS) as node:
        greet(node)
        sources = [bytes((192, 0, 2, 1 + number)) for number in range(200)]
        sent = node.exchange(*[unknown(source=source) for source in sources])
        assert len(sent) == 50
        node.advance(0.0101)
        assert len(node.exchange(*[unknown(source=source) for source in reversed(sources)])) == 10


def test_echoes_are_not_limited() -> None:
    with network_node() as node:
        greet(node)
        request = bytes(Ether(src=HOST_MAC, dst=OUR_MAC) / IP(src=HOST_ADDRESS, dst=OUR_ADDRESS) / ICMP())
        assert len(node.exchange(*[request] * 100)) == 100


# --- in -------------------------------------------------------------------------------------------------------------


def quoted(protocol: int = 6, payload: bytes = bytes(8), **fields: object) -> bytes:
    return ipv4.build(fields.pop("source", US), fields.pop("destination", HOST), protocol, payload, **fields)  # type: ignore


def error(quote: bytes, type: int = icmp.UNREACHABLE, code: int = 1, rest: int = 0, to: bytes = US) -> bytes:
    return ipv4.build(HOST, to, ipv4.ICMP, icmp.build(type, code, rest, quote))


def deliver(made: Stack, packet: bytes) -> dict[str, int]:
    """What the network layer has counted of errors."""
    made.send_frame(made.wire.a.mac + made.end.mac + b"\x08\0" + packet)
    assert made.frames() == []  # never an error about an error
    names = {name: value for name, value in made.network.counters().items() if name.startswith("icmp_errors") and value}
    return names


@pytest.mark.parametrize(
    ("packet", "counter"),
    [
        (error(b""), "icmp_errors_malformed"),
        (error(quoted()[:19]), "icmp_errors_malformed"),
        (error(quoted()[:20]), "icmp_errors_malformed"),
        (error(quoted()[:27]), "icmp_errors_malformed"),
        (error(b"\x55" + quoted()[1:]), "icmp_errors_malformed"),
        (error(b"\x65" + quoted()[1:]), "icmp_errors_malformed"),
        (error(b"\x44" + quoted()[1:]), "icmp_errors_malformed"),
        (error(b"\x46" + quoted()[1:]), "icmp_errors_malformed"),
        (error(b"\x4f" + quoted(payload=bytes(40))[1:]), "icmp_errors_malformed"),
        (error(quoted()[:2] + b"\0\x1b" + quoted()[4:]), "icmp_errors_malformed"),
        (error(quoted(source=HOST)), "icmp_errors_not_ours"),
        (error(quoted(source=FAR)), "icmp_errors_not_ours"),
        (error(quoted(), to=b"\x0a\x63\0\xff"), "icmp_errors_not_ours"),
        (error(quoted(fragment=1)), "icmp_errors_fragment"),
        (error(quoted(fragment=0x3FFF)), "icmp_errors_fragment"),
        (error(quoted(protocol=253)), "icmp_errors_unmatched"),
        (error(quoted(protocol=1)), "icmp_errors_unmatched"),
        (error(quoted()), "icmp_errors_unmatched"),
        (error(quoted(options=b"\x94\x04\0\0" * 10)), "icmp_errors_unmatched"),
        (error(quoted(), icmp.TIME_EXCEEDED, 0), "icmp_errors_unmatched"),
        (error(quoted(), icmp.PARAMETER_PROBLEM, 0), "icmp_errors_unmatched"),
        (error(quoted(), icmp.UNREACHABLE, 255), "icmp_errors_unmatched"),
        # The router would have let it pass.
        (error(quoted(payload=bytes(1000)), icmp.UNREACHABLE, 4, 1020), "icmp_errors_bad_mtu"),
        (error(quoted(payload=bytes(1000)), icmp.UNREACHABLE, 4, 1500), "icmp_errors_bad_mtu"),
        (error(quoted(payload=bytes(1000)), icmp.UNREACHABLE, 4, 65535), "icmp_errors_bad_mtu"),
        (error(quoted(payload=bytes(532)), icmp.UNREACHABLE, 4, 68), "icmp_errors_bad_mtu"),
        (error(quoted(payload=bytes(533)), icmp.UNREACHABLE, 4, 68), "icmp_errors_unmatched"),
        (error(quoted(payload=bytes(1000)), icmp.UNREACHABLE, 4, 1019), "icmp_errors_unmatched"),
        (error(quoted(payload=bytes(1000)), icmp.UNREACHABLE, 4, 0), "icmp_errors_unmatched"),
    ],
)
def test_not_believed(packet: bytes, counter: str) -> None:
    with stack() as made:
        assert deliver(made, packet) == {"icmp_errors_received": 1, counter: 1}


def test_any_length_of_a_quote() -> None:
    whole = quoted(payload=bytes(range(100)), options=b"\x94\x04\0\0")
    with stack() as made:
        for length in range(len(whole) + 1):
            deliver(made, error(whole[:length]))
        counted = made.network.counters()
        assert counted["icmp_errors_received"] == len(whole) + 1
        assert counted["icmp_errors_malformed"] + counted["icmp_errors_unmatched"] == len(whole) + 1
        assert counted["icmp_errors_malformed"] == 24 + 8


def test_ignored() -> None:
    """Source quenches (RFC 6633) and redirects."""
    segment = IP(src=OURS, dst=THEIRS) / TCP()
    with stack() as made:
        for type in (4, 5):
            deliver(made, error(bytes(segment), type))
        counted = made.network.counters()
        assert counted["icmp_source_quench"] == counted["icmp_redirects"] == 1
