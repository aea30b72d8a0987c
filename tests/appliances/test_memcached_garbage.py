"""Random garbage on several connections and in datagrams at once: nothing raised, others served, nothing left."""

import random
import struct

import pytest

from tests.appliances.test_memcached_bad_clients import VERSION, begin, is_gone, kept, nothing_is_left, pinned
from tests.memcached import binary, datagrams, generate
from tests.support.appliances import BUILDS, Client, Served, appliance, served
from tests.support.memcached import store_of, worker_of

SEEDS = 2000
TOGETHER = 8  # connections
LENGTHS = (0, 1, 2, 7, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFF, 24, 1 << 20)
NUMBERS = (b"-1", b"0", b"99999999999999999999", b"2147483647", b"1048576", b"")
MAGICS = b"\x80\x81\x00\xff\r\n gms"


def whole(choose: random.Random, seed: int) -> bytes:
    """Requests of one of the protocols, or of several, one after the other."""
    kinds = choose.choices((generate, binary), k=choose.choice((1, 1, 2)))
    return b"".join(b"".join(kind.sequence(seed)) for kind in kinds)


def mutated(choose: random.Random, seed: int) -> bytes:
    script = bytearray(whole(choose, seed))
    for _ in range(choose.choice((1, 1, 2, 5, 20))):
        at = choose.randrange(len(script) or 1)
        kind = choose.randrange(8)
        if kind == 0:  # a bit flips
            script[at : at + 1] = bytes(byte ^ 1 << choose.randrange(8) for byte in script[at : at + 1])
        elif kind == 1:  # bytes are missing
            del script[at : at + choose.choice((1, 2, 24, 300))]
        elif kind == 2:  # noise comes in between
            script[at:at] = choose.randbytes(choose.choice((1, 2, 24, 300)))
        elif kind == 3:  # of another script
            other = whole(choose, seed + 1)
            script[at:] = other[choose.randrange(len(other)) :]
        elif kind == 4:  # the lengths of a binary request, or what is in their place
            begin = max(script.rfind(b"\x80", 0, at), 0)
            size = choose.choice(("B", "H", "I"))
            into = {"B": 4, "H": 2, "I": 8}[size] + begin
            field = struct.pack(">" + size, choose.choice(LENGTHS) & (1 << 8 * struct.calcsize(size)) - 1)
            script[into : into + len(field)] = field
        elif kind == 5:  # a word of a line
            begin, end = script.rfind(b" ", 0, at) + 1, script.find(b"\r\n", at)
            script[begin : end if end > 0 else at] = choose.choice(NUMBERS)
        elif kind == 6:
            begin = max(script.rfind(b"\x80", 0, at), 0)
            script[begin : begin + 1] = bytes([choose.choice(MAGICS)])
        else:  # the end
            del script[at:]
    return bytes(script)


def garbage(choose: random.Random, seed: int) -> bytes:
    if choose.random() < 0.2:
        start = bytes([choose.choice(MAGICS)]) * choose.randrange(2)
        return start + choose.randbytes(choose.choice((1, 23, 24, 100, 3000)))
    return mutated(choose, seed)


def pieces(choose: random.Random, script: bytes) -> list[bytes]:
    ends = sorted(choose.randrange(len(script) + 1) for _ in range(choose.choice((0, 1, 3, 10))))
    return [script[begin:end] for begin, end in zip([0, *ends], [*ends, len(script)], strict=True) if begin < end]


def raised(running: Served) -> int:
    """Exceptions that came out of the appliance, wherever it was called."""
    return sum(
        count
        for counters in running.node.counters().values()
        for name, count in counters.items()
        if name in ("callback_exceptions", "exceptions")
    )


def send(running: Served, asking: datagrams.WireDatagrams, clients: list[Client], seed: int) -> None:
    """A script each, piece by piece, those of all in any order."""
    choose = random.Random(seed)
    waiting = [(client, pieces(choose, garbage(choose, seed + i))) for i, client in enumerate(clients)]
    while waiting := [(client, left) for client, left in waiting if left and not client.ended]:
        with running.client.core:
            for client, left in waiting:
                if choose.random() < 0.7:
                    client.send(left.pop(0))
            if choose.random() < 0.5:
                header = choose.choice((b"\0\7\0\0\0\1\0\0",) * 4 + (choose.randbytes(8), b"\0\7"))
                asking.handler.send((header + garbage(choose, seed))[: choose.choice((8, 9, 100, 1472))])
        running.simulation.settle()


@pytest.mark.parametrize("build", BUILDS)
def test_random_garbage(build: str) -> None:
    with served(appliance("memcached", build), ["-m", "8", "-U", "11211"]) as running:
        before, store, worker = kept(running), store_of(running), worker_of(running)
        asking = datagrams.WireDatagrams(running)
        answers = 0
        for seed in range(0, SEEDS, TOGETHER):
            clients = [running.connect() for _ in range(TOGETHER)]
            send(running, asking, clients, seed)
            assert raised(running) == 0, seed
            answered = len(running.steady.received)
            running.send(running.steady, b"version\r\n")
            assert running.steady.received[answered:] == VERSION, seed
            for client in clients:
                answers += len(client.received)
                is_gone(running, client)
            assert (store.reserved, worker.held, len(worker.sessions)) == (0, 0, 1), seed
            assert pinned(running) - before <= 1.45 * store.used, seed
        with running.client.core:
            asking.handler.close()
        # All is pushed out by what then does not come.
        assert running.ask(b"cache_memlimit 8\r\n") == b"OK\r\n"
        for client in [begin(running, b"set a 0 0 1000000\r\n", bytes(990_000)) for _ in range(10)]:
            is_gone(running, client)
        assert answers > 50 * SEEDS and len(asking.handler.received) > SEEDS // 2, "much of it is understood"
        del store, worker
        nothing_is_left(running, before)
