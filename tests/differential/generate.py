"""Sequences of steps, made from a seed: a way into one of the states, and then anything."""

from random import Random

from tests.differential.steps import MSS_1000, Call, Segment, Step

SYN_OPTIONS = [
    b"",
    MSS_1000,
    MSS_1000,
    MSS_1000,
    b"\x02\x04\x05\xb4",
    b"\x02\x04\x02\x18",
    b"\x01\x01" + MSS_1000 + b"\x00\x00",  # behind no-operations, before the end of the list
    MSS_1000 + b"\x01\x03\x03\x02",  # window scale 2
    b"\x04\x02\x08\x0a\0\0\0\x07\0\0\0\0\x01\x01" + MSS_1000,  # SACK permitted, timestamps
    b"\xfd\x04\x12\x34" + MSS_1000,  # an experimental one (RFC 6994)
    MSS_1000 + MSS_1000,
    b"\x02\x03\x05\x01",  # a length that is not the option's
    b"\x02\x00\x03\xe8",  # a length of zero (RFC 9293, 3.1, MUST-7)
    b"\x02\x28\x03\xe8",  # longer than the header
    b"\x02\x04\x00\x00",  # an MSS of zero
    b"\x02\x04\x00\x20",
]
OPTIONS = [
    b"",
    b"",
    b"",
    b"",
    b"\x01\x01\x01\x01",
    b"\x00\x00\x00\x00",
    b"\x01\x01\x08\x0a\0\0\0\x07\0\0\0\0",  # a timestamp that nobody agreed on
    b"\x01\x01\x05\x0a\0\0\0\x07\0\0\0\x09",  # SACK
    MSS_1000,  # only a SYN may have it
    b"\x03\x03\x07\x01",
    b"\xfd\x04\x12\x34",
    b"\xfd\x00\x12\x34",
    b"\xfd\x3f\x12\x34",
]

SYN = Segment("S", options=MSS_1000)
ACK = Segment("A")
FIN = Segment("FA")
PASSIVE: list[Step] = [Call("listen"), SYN, ACK]
ACTIVE: list[Step] = [Call("connect"), Segment("SA", options=MSS_1000), ACK]
UNACKNOWLEDGED = ("una", 0)

# The ways into the states. Each is also the beginning of a sequence that goes elsewhere.
STATES: dict[str, list[list[Step]]] = {
    "CLOSED": [[]],
    "LISTEN": [[Call("listen")]],
    "SYN_SENT": [[Call("connect")]],
    "SYN_RECEIVED": [[Call("listen"), SYN], [Call("connect"), SYN]],
    "ESTABLISHED": [PASSIVE, ACTIVE, [Call("connect"), SYN, Segment("SA", seq=("isn", 0), options=MSS_1000)]],
    "FIN_WAIT_1": [[*PASSIVE, Call("close")], [*ACTIVE, Call("write", 1500), Call("close")]],
    "FIN_WAIT_2": [[*PASSIVE, Call("close"), ACK], [*ACTIVE, Call("close"), ACK]],
    "CLOSE_WAIT": [[*PASSIVE, FIN], [*ACTIVE, Segment("FA", length=10)]],
    "CLOSING": [[*PASSIVE, Call("close"), Segment("FA", ack=UNACKNOWLEDGED)]],
    "LAST_ACK": [[*PASSIVE, FIN, Call("close")]],
    "TIME_WAIT": [
        [*PASSIVE, Call("close"), FIN],
        [*ACTIVE, Call("close"), ACK, FIN],
        [*PASSIVE, Call("close"), Segment("FA", ack=UNACKNOWLEDGED), ACK],
    ],
}
FLAGS = (
    ["A"] * 12 + ["FA"] * 4 + ["S", "SA", "R", "RA", "AU", "PA", "", "F", "P", "SF", "SR", "FPU", "SFRPAU", "U", "FR"]
)


def sequence(seed: int) -> list[Step]:
    random = Random(seed)
    state = random.choice(list(STATES))
    steps = list(random.choice(STATES[state]))
    if state == "LISTEN" and random.random() < 0.5:
        steps += [_syn(random), ACK]
    for _ in range(random.randint(1, 12)):
        steps.append(_call(random) if random.random() < 0.25 else _segment(random))
    return steps


def _syn(random: Random) -> Segment:
    return Segment(
        "S",
        options=random.choice(SYN_OPTIONS),
        window=random.choice([0, 1, 500, 60000, 65535]),
        length=random.choice([0, 0, 0, 20]),
    )


def _call(random: Random) -> Call:
    name = random.choice(["write", "write", "write", "close", "abort", "pause", "resume"])
    return Call(name, random.choice([1, 10, 1000, 1001, 2500, 4000]) if name == "write" else 0)


def _segment(random: Random) -> Segment:
    if random.random() < 0.3:
        # One that fits: so that sequences get somewhere.
        flags = random.choice(["A", "A", "A", "PA", "FA"])
        return Segment(flags, length=random.choice([0, 0, 1, 10, 999, 1000]), ack=_acknowledgment(random, 0.1))
    flags = random.choice(FLAGS)
    return Segment(
        flags,
        seq=_number(random),
        ack=_acknowledgment(random, 0.4),
        length=random.choice([0, 0, 0, 1, 10, 11, 500, 1000, 1400]),
        window=random.choice([60000] * 6 + [0, 1, 499, 1000, 3001, 65535]),
        options=random.choice(SYN_OPTIONS if "S" in flags else OPTIONS),
        other_text=random.random() < 0.1,
        wrong=random.choice([""] * 30 + ["checksum", "offset"]),
    )


def _number(random: Random) -> tuple[str, int]:
    chance = random.random()
    if chance < 0.45:
        return "nxt", 0
    if chance < 0.75:
        return "nxt", random.choice([-2000, -1001, -1000, -11, -10, -2, -1, 1, 2, 10, 11, 500, 1000, 2000])
    if chance < 0.9:
        return "edge", random.choice([-1400, -1001, -1000, -11, -10, -1, 0, 1, 10, 1000])
    if chance < 0.95:
        return "isn", random.choice([-1, 0, 1])
    return "nxt", random.choice([-(2**31), 2**31 - 1, -(2**30), 2**30, 200_000, -200_000])


def _acknowledgment(random: Random, wild: float) -> tuple[str, int]:
    if random.random() > wild:
        return random.choice([("nxt", 0), ("nxt", 0), ("nxt", 0), UNACKNOWLEDGED])
    return random.choice(
        [
            ("una", random.choice([-70_000, -1000, -1, 1, 500, 1000, 1001])),
            ("nxt", random.choice([-1001, -1000, -1, 1, 1000, 2**31 - 1, -(2**31), 2**30])),
            ("iss", random.choice([0, 1])),
        ]
    )
