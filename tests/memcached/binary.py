"""Sequences of binary requests: every opcode, good ones and some that are malformed."""

import random
import struct

NOOP = 0x0A
QUITS = (0x07, 0x17)
STORES, JOINS = (0x01, 0x02, 0x03, 0x11, 0x12, 0x13), (0x0E, 0x0F, 0x19, 0x1A)
COUNTS, TOUCHES = (0x05, 0x06, 0x15, 0x16), (0x1C, 0x1D, 0x1E, 0x23, 0x24)
LOOKS, DELETES, FLUSHES = (0x00, 0x09, 0x0C, 0x0D), (0x04, 0x14), (0x08, 0x18)
SASL, OTHERS, UNKNOWN = (0x21, 0x22), (0x0A, 0x0B, 0x20), (0x1B, 0x25, 0x30)
OPCODES = STORES + JOINS + COUNTS + TOUCHES + LOOKS * 2 + DELETES + FLUSHES[:1] + SASL + OTHERS + UNKNOWN


def request(
    opcode: int, key: bytes = b"", extras: bytes = b"", value: bytes = b"", unique: int = 0, opaque: int = 0
) -> bytes:
    body = extras + key + value
    return struct.pack(">BBHBBHIIQ", 0x80, opcode, len(key), len(extras), 0, 0, len(body), opaque, unique) + body


def _one(chance: random.Random, seed: int) -> bytes:
    opcode = chance.choice(QUITS) if chance.random() < 0.01 else chance.choice(OPCODES)
    key = b"%d%c" % (seed, chance.choice(b"abcn"))
    extras = value = b""
    unique = chance.choice([0] * 6 + [1, 2, 3])
    if opcode in STORES:
        extras = struct.pack(">II", chance.choice([0, 5]), chance.choice([0, 0, 1000]))
        value = chance.choice([b"", b"x", b"12", b"hello" * chance.randrange(60), b"v" * chance.randrange(4000)])
    elif opcode in JOINS:
        value = chance.choice([b"", b"zz", b"7"])
    elif opcode in COUNTS:
        extras = struct.pack(
            ">QQI",
            chance.choice([0, 1, 10, 2**64 - 1]),
            chance.choice([0, 99]),
            chance.choice([0, 0xFFFFFFFF, 0xFFFFFFFF]),
        )
    elif opcode in TOUCHES:
        extras = struct.pack(">I", chance.choice([0, 1000]))
    elif opcode in SASL:
        value = b"pw"
    elif opcode not in LOOKS + DELETES:
        key = b""
    if chance.random() < 0.02:
        extras += b"x"
    if chance.random() < 0.02:
        key = b""
    if chance.random() < 0.01:
        key = b"k" * 251
    return request(opcode, key, extras, value, unique, chance.randrange(2**32))


def sequence(seed: int) -> list[bytes]:
    chance = random.Random(seed)
    return [_one(chance, seed) for _ in range(chance.randrange(1, 16))] + [request(NOOP)]


def neat(request: bytes) -> bool:
    """It is followed by the next one, whatever it is."""
    opcode, key, extras = request[1], request[2:4], request[4]
    if opcode in QUITS + SASL + UNKNOWN or len(request) > 1000:
        return False
    wants = {8: STORES, 20: COUNTS, 4: TOUCHES}.get(extras, JOINS + LOOKS + DELETES + FLUSHES + OTHERS)
    keyed = opcode not in FLUSHES + OTHERS
    return opcode in wants and keyed == (0 < int.from_bytes(key) <= 250)
