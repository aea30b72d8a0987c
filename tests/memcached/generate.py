"""Sequences of text and meta commands, good and bad. A seed is one sequence, always the same; its keys are its own."""

from random import Random

SPACES = (b" ",) * 15 + (b"  ",)
ENDS = (b"\r\n",) * 8 + (b"\n", b" \r\n")
NUMBERS = (b"0", b"1", b"7", b"-1", b"x", b"4294967295", b"18446744073709551615", b"18446744073709551616", b"")
VALUES = (b"", b"1", b"10", b"99", b"18446744073709551615", b"abc", b"007", b"v" * 300)
EXPIRES = (b"0",) * 6 + (b"-1", b"1000000", b"x")
STORES = ("set", "add", "replace", "append", "prepend", "cas")
GETS = ("get", "gets", "gat", "gats")
TEXT = (*STORES, *GETS, "incr", "decr", "delete", "touch", "verbosity", "version", "flush_all", "quit")
META = ("mg", "ms", "md", "ma", "mn", "me")
ARITHMETIC = (b"incr", b"decr", b"ma")
RARE = ("stats", "cache_memlimit", "shutdown", "bget", "nonsense")
COMMANDS = (*TEXT, *META, *META, *RARE)
LINES = {
    "stats": (b"reset", b"sizes", b"bogus", b"noreply"),
    "cache_memlimit": (b"", b"64", b"4", b"x", b"100000000000", b"64 noreply", b"x noreply", b"1 2 3"),
    "shutdown": (b"", b"graceful", b"x"),
    "verbosity": (b"", b"0", b"x", b"0 1 2"),
    "flush_all": (b"", b"0", b"x", b"0 1 2"),  # a later one can bring back what an earlier one flushed, or not
}
META_FLAGS = {
    "mg": b"b c f h k l q s t u v v E5 L1 N30 O1 O N-1 Px R30 R0 T0 T30 z".split(),
    "ms": b"b c k q C1 C99999999 C0 F7 I I MA MP ME MR MS O1 O L1 P T0 T-1 N30 z".split(),
    "md": b"b k q C1 C99999999 C0 I O1 O L1 P T30 T-1 z".split(),
    "ma": b"b c k q t v v C1 C99999999 C0 D5 J7 L1 MI MD M+ M- N0 N30 N-1 O1 O P T0 T30 z".split(),
}
BAD_FLAGS = (b"Nx", b"Tx", b"Rx", b"Cx", b"Dx", b"Jx", b"Fx", b"M", b"MX", b"MSS", b"O" * 33, b"Z", b"v", b"v", b"b")


def sequence(
    seed: int, commands: tuple[str, ...] = COMMANDS, long_keys: bool = True, wrong_lengths: bool = True
) -> list[bytes]:
    random = Random(seed)
    keys = [b"%da" % seed, b"%04d" % (seed % 10000)]  # the last is base64, too
    made = [b"set %b 5 0 2\r\n10\r\n" % keys[0], b"ms %b 2 b\r\n10\r\n" % keys[1]] * (random.random() < 0.7)
    made += [
        _command(random, random.choice(commands), keys, long_keys, wrong_lengths) for _ in range(random.randint(2, 12))
    ]
    # memcached refers to what mg found until that is written; a number so held is replaced where else it
    # would be padded: protocol.txt says that nobody should rely on either. mn has what is before it written.
    made = [piece for command in made for piece in ([b"mn\r\n"] * command.startswith(ARITHMETIC) + [command])]
    # Completes a value short of bytes: where the peer ends within one, memcached drops the replies not yet written.
    return [*made, b"version\r\n"]


def _command(random: Random, name: str, keys: list[bytes], long_keys: bool, wrong_lengths: bool) -> bytes:
    key = (
        random.choice(keys)
        if random.random() < 0.97
        else random.choice((keys[0].rjust(250, b"k"), keys[0].rjust(250 + long_keys, b"k")))
    )
    words, value = [name.encode()], None
    if name in STORES:
        value = random.choice(VALUES)
        flags = random.choice(NUMBERS[:8]) if random.random() < 0.2 else b"5"
        words += [key, flags, random.choice(EXPIRES), _length(random, value, wrong_lengths)]
        words += [random.choice((*NUMBERS, b"2", b"3"))] if name == "cas" else []
    elif name in GETS:
        words += [random.choice(EXPIRES)] * name.startswith("gat")
        words += [key, *random.choices(keys, k=random.randint(0, 3))]
    elif name in ("incr", "decr"):
        words += [key, random.choice(NUMBERS)]
    elif name in ("delete", "me", "bget", "nonsense"):
        words += [key, *random.choice(((), (), (b"0",), (b"5",)) if name == "delete" else ((), (b"b",)))]
    elif name == "touch":
        words += [key, random.choice(EXPIRES)]
    elif name in LINES:
        words += random.choice(LINES[name]).split()
    elif name in META_FLAGS:
        value = random.choice(VALUES) if name == "ms" else None
        words += [key, *([] if value is None else [_length(random, value, wrong_lengths)])]
        words += random.sample(META_FLAGS[name], k=random.randint(0, 6))
        if random.random() < 0.1:
            words.append(random.choice(BAD_FLAGS))
    if name in TEXT and name not in (*GETS, "version", "quit") and random.random() < 0.15:
        words.append(b"noreply")
    if random.random() < 0.01:
        words[0] += b"\t"  # which does not separate words
    if random.random() < 0.05:
        del words[random.randrange(1, len(words) + 1) :]
    if words == [b"stats"]:
        words.append(b"bogus")
    line = b"".join(word + random.choice(SPACES) for word in words[:-1]) + words[-1] + random.choice(ENDS)
    return line if value is None else line + value + b"\r\n"


def _length(random: Random, value: bytes, wrong: bool) -> bytes:
    if not wrong or random.random() < 0.95:
        return b"%d" % len(value)
    return random.choice((b"-1", b"x", b"%d" % (len(value) + 1), b"%d" % max(0, len(value) - 1)))
