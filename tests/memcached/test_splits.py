"""However a sequence is cut into segments, it is answered as in one piece; both protocols share a port."""

from itertools import zip_longest

import pytest

from tests.memcached import binary, generate
from tests.memcached.compare import comparable
from tests.memcached.peers import KernelPeer, WirePeer
from tests.memcached.table import fence_reply, fenced

pytestmark = pytest.mark.system
Peers = tuple[KernelPeer, WirePeer]

FENCE_OPAQUE = 0xFFFFFFFF
BYTE_BY_BYTE = range(20_001, 20_501)
AT_EVERY_POINT = range(30_001, 30_031)


def _text(seeds: range) -> list[bytes]:
    """Without keys that are too long, for which memcached drops what was answered in the same read."""
    return [b"".join(generate.sequence(seed, long_keys=False)) for seed in seeds]


def _binary(seeds: range) -> list[bytes]:
    """Without requests that are malformed, as above, and with values short enough to be cut everywhere."""
    return [b"".join(request for request in binary.sequence(seed) if binary.neat(request)) for seed in seeds]


@pytest.mark.parametrize("scripts", [_text(BYTE_BY_BYTE), _binary(BYTE_BY_BYTE)], ids=["text", "binary"])
def test_byte_by_byte(peers: Peers, scripts: list[bytes]) -> None:
    expected, got = peers
    for script in scripts:
        whole = comparable(expected.ask(script))
        assert comparable(got.ask(*(script[i : i + 1] for i in range(len(script))))) == whole, script


def _repeatable(seeds: range) -> list[bytes]:
    """Without what makes a number shorter: it is padded unless a reply that is not yet written refers to it."""
    shorter = (0x06, 0x16)
    scripts = ([request for request in binary.sequence(seed) if binary.neat(request)] for seed in seeds)
    return [
        b"".join(one for one in requests if one[1] not in shorter and one[24:32] != b"\xff" * 8) for requests in scripts
    ]


@pytest.mark.parametrize("scripts", [_text(AT_EVERY_POINT), _repeatable(AT_EVERY_POINT)], ids=["text", "binary"])
def test_at_every_point(peers: Peers, scripts: list[bytes]) -> None:
    expected, got = peers
    for script in scripts:
        for cut in range(1, len(script)):
            whole = comparable(expected.ask(script))
            assert comparable(got.ask(script[:cut], script[cut:])) == whole, (cut, script)


def test_both_protocols_at_once_on_one_port(peers: Peers) -> None:
    """A command on one connection, then a request on another, each answered before the next."""
    fence = binary.request(binary.NOOP, opaque=FENCE_OPAQUE)
    for seed in range(40_001, 40_301):
        commands = generate.sequence(seed, long_keys=False, wrong_lengths=False)
        requests = [request for request in binary.sequence(seed) if binary.neat(request)]
        replies: list[list[bytes]] = []
        for peer in peers:
            with peer.connection() as text, peer.connection() as other:
                replies.append([])
                for command, request in zip_longest(commands, requests, fillvalue=b""):
                    replies[-1].append(comparable(text(fenced([command]), fence_reply(0))))
                    replies[-1].append(other(request + fence, b"\x81\x0a" + fence[2:]))
        assert replies[0] == replies[1], (seed, commands, requests)
