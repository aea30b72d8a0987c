"""Sequences of text and meta commands, good and bad. A seed is one sequence, always the same; its keys are its own."""

from random import Random

SPACES = (b" ",) * 12 + (b"  ", b"   ", b"\t")
ENDS = (b"\r\n",) * 8 + (b"\n", b" \r\n")
NUMBERS = (b"0", b"1", b"7", b"-1", b"x", b"4294967295", b"18446744073709551615", b"18446744073709551616", b"")
VALUES = (b"", b"1", b"10", b"99", b"18446744073709551615", b"abc", b"007", b"v" * 300)
EXPIRES = (b"0",) * 6 + (b"-1", b"1000000", b"x")
STORES = ("set", "add", "replace", "append", "prepend", "cas")
TEXT = (
    *STORES,
    "get",
    "gets",
    "gat",
    "gats",
    "incr",
    "decr",
    "delete",
    "touch",
    "verbosity",
    "version",
    "flush_all",
    "quit",
)
META = ("mg", "ms", "md", "ma", "mn")
COMMANDS = (*TEXT, *META)
OFFERED = ("set", "add", "replace", "cas", "get", "gets", "incr", "decr", "delete", "version", "flush_all", "quit")
"""What the appliance has today; the others join when it has them."""
META_FLAGS = {
    "mg": b"b c f h k q s v z E5 N30 O1 R30 T0 Tx".split(),
    "ms": b"b c k q z C1 F7 Fx I MA MP ME MR MS MX N30 O1 T0 Tx".split(),
    "md": b"b k q z C1 I O1 T30".split(),
    "ma": b"b c k q v z C1 D5 Dx J7 MI MD M+ M- MX N0 O1 T0".split(),
}


def sequence(seed: int, commands: tuple[str, ...] = COMMANDS) -> list[bytes]:
    random = Random(seed)
    keys = [b"%d%c" % (seed, letter) for letter in b"abc"]
    made = [_command(random, random.choice(commands), keys) for _ in range(random.randint(2, 12))]
    # Completes a value short of bytes: where the peer ends within one, memcached drops the replies not yet written.
    return [*made, b"version\r\n"]


def _command(random: Random, name: str, keys: list[bytes]) -> bytes:
    key = random.choice(keys) if random.random() < 0.96 else random.choice((b"k" * 250, b"k" * 251))
    words, value = [name.encode()], None
    if name in STORES:
        value = random.choice(VALUES)
        length = (
            b"%d" % len(value) if random.random() < 0.95 else random.choice((b"-1", b"x", b"%d" % (len(value) + 1)))
        )
        flags = random.choice(NUMBERS[:8]) if random.random() < 0.2 else b"5"
        words += [key, flags, random.choice(EXPIRES), length, *([random.choice(NUMBERS)] if name == "cas" else [])]
    elif name in ("get", "gets", "gat", "gats"):
        words += [random.choice(EXPIRES)] * name.startswith("gat") + [
            key,
            *random.choices(keys, k=random.randint(0, 3)),
        ]
    elif name in ("incr", "decr"):
        words += [key, random.choice(NUMBERS)]
    elif name == "delete":
        words += [key, *random.choice(((), (), (b"0",), (b"5",)))]
    elif name == "touch":
        words += [key, random.choice(EXPIRES)]
    elif name in ("verbosity", "flush_all"):
        words += random.choice(((), (b"0",), (b"x",), (b"0", b"1", b"2")))
    elif name in META_FLAGS:
        value = random.choice(VALUES) if name == "ms" else None
        words += [key, *([b"%d" % len(value)] if value is not None else [])]
        words += random.choices(META_FLAGS[name], k=random.randint(0, 5))
    if name in TEXT and name not in ("get", "gets", "gat", "gats", "version", "quit") and random.random() < 0.1:
        words.append(b"noreply")
    if random.random() < 0.05:
        del words[random.randrange(1, len(words) + 1) :]
    line = b"".join(word + random.choice(SPACES) for word in words[:-1]) + words[-1] + random.choice(ENDS)
    return line if value is None else line + value + b"\r\n"
