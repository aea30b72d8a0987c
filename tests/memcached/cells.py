"""The list of cells: what each command with each flag may answer. The suite has to reach every one, and no other.

A text reply is named by its first word, an error by its line; `nothing` is silence, `number` digits.
"""

from itertools import product

Cell = tuple[str, str, str]  # command, flag, reply

FORMAT = "CLIENT_ERROR bad command line format"
CHUNK = "CLIENT_ERROR bad data chunk"
LARGE = "SERVER_ERROR object too large for cache"
FULL = "SERVER_ERROR out of memory storing object"
EXPTIME = "CLIENT_ERROR invalid exptime argument"
DELTA = "CLIENT_ERROR invalid numeric delta argument"
NO_NUMBER = "CLIENT_ERROR cannot increment or decrement non-numeric value"
TOKEN = "CLIENT_ERROR bad token in command line format"
MODE_LENGTH = "CLIENT_ERROR incorrect length for M token"
USAGE = "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]"
DETAIL = "CLIENT_ERROR usage: stats detail on|off|dump"

TEXT: dict[tuple[str, str], tuple[str, ...]] = {
    ("set", "-"): ("STORED", "ERROR", FORMAT, CHUNK, LARGE, FULL),
    ("add", "-"): ("STORED", "NOT_STORED", "ERROR", FORMAT, CHUNK, LARGE, FULL),
    ("replace", "-"): ("STORED", "NOT_STORED", "ERROR", FORMAT, CHUNK, LARGE, FULL),
    ("append", "-"): ("STORED", "NOT_STORED", "ERROR", FORMAT, CHUNK, LARGE, FULL),
    ("prepend", "-"): ("STORED", "NOT_STORED", "ERROR", FORMAT, CHUNK, LARGE, FULL),
    ("cas", "-"): ("STORED", "EXISTS", "NOT_FOUND", "ERROR", FORMAT, CHUNK, LARGE, FULL),
    # ERROR: of what follows a line that is wrong, or too long a value, as the value itself is taken for a command.
    **{(name, "noreply"): ("nothing", "ERROR") for name in ("set", "add", "replace", "append", "prepend", "cas")},
    **{(name, "none"): ("ERROR",) for name in ("get", "gets", "bget")},
    **{(name, "none"): ("ERROR", "END", EXPTIME) for name in ("gat", "gats")},
    **{(name, "1 key"): ("VALUE", "END", FORMAT) for name in ("get", "gets", "bget")},
    **{(name, "keys"): ("VALUE", "END", FORMAT) for name in ("get", "gets", "bget")},
    **{(name, "1 key"): ("VALUE", "END", FORMAT, EXPTIME) for name in ("gat", "gats")},
    **{(name, "keys"): ("VALUE", "END", FORMAT, EXPTIME) for name in ("gat", "gats")},
    ("incr", "-"): ("number", "NOT_FOUND", "ERROR", FORMAT, DELTA, NO_NUMBER, "SERVER_ERROR out of memory"),
    ("decr", "-"): ("number", "NOT_FOUND", "ERROR", FORMAT, DELTA, NO_NUMBER),  # a number does not get longer
    **{(name, "noreply"): ("nothing", "ERROR") for name in ("incr", "decr")},
    ("delete", "-"): ("DELETED", "NOT_FOUND", "ERROR", FORMAT, USAGE),
    ("delete", "noreply"): ("nothing", "NOT_FOUND", "ERROR"),  # a key may be named so
    ("touch", "-"): ("TOUCHED", "NOT_FOUND", "ERROR", FORMAT, EXPTIME),
    ("touch", "noreply"): ("nothing", "ERROR"),
    ("verbosity", "-"): ("OK", "ERROR", FORMAT),
    ("verbosity", "noreply"): ("nothing", "ERROR"),
    ("version", "-"): ("VERSION",),
    ("quit", "-"): ("closed",),
    ("flush_all", "-"): ("OK", "CLIENT_ERROR flush_all not allowed"),
    ("flush_all", "delay"): ("OK", "ERROR", EXPTIME, "CLIENT_ERROR flush_all not allowed"),
    ("flush_all", "noreply"): ("nothing", "ERROR"),
    ("cache_memlimit", "-"): (
        "OK",
        "ERROR",
        "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m",
        "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes",
    ),
    ("cache_memlimit", "noreply"): ("nothing", "ERROR"),
    ("shutdown", "-"): ("closed", "ERROR: shutdown not enabled", "CLIENT_ERROR invalid shutdown mode"),
    ("shutdown", "graceful"): ("closed", "ERROR: shutdown not enabled"),
    ("stats", "-"): ("STAT",),
    ("stats", "settings"): ("STAT",),
    ("stats", "items"): ("STAT", "END"),
    ("stats", "slabs"): ("STAT",),
    ("stats", "sizes"): ("STAT",),
    ("stats", "conns"): ("STAT",),
    ("stats", "reset"): ("RESET",),
    ("stats", "detail"): (DETAIL,),
    ("stats", "detail on"): ("OK",),
    ("stats", "detail off"): ("OK",),
    ("stats", "detail dump"): ("PREFIX", "END"),
    ("stats", "cachedump"): (
        "ITEM",
        "END",
        "CLIENT_ERROR bad command line",
        "CLIENT_ERROR Illegal slab id",
        "CLIENT_ERROR stats cachedump not allowed",
        FORMAT,
    ),
    ("stats", "(unknown)"): ("ERROR",),
    ("mn", "-"): ("MN",),
    ("me", "-"): ("ME", "EN", FORMAT),
    ("me", "b"): ("ME", "EN", FORMAT),
    ("(unknown)", "-"): ("ERROR",),
}

_MODES = {"ms": "MS ME MA MP MR", "ma": "MI MD M+ M-"}
FLAGS = {
    "mg": "- b c f h k l q s t u v L N O P R T".split(),
    "ms": f"- b c k q C F I L O P T {_MODES['ms']}".split(),
    "md": "- b k q C I L O P T".split(),
    "ma": f"- b c k q t v C D J L N O P T {_MODES['ma']}".split(),
}
GOOD = {
    "mg": ("HD", "VA", "EN", "nothing"),
    "ms": ("HD", "EX", "NF", "NS", "nothing"),
    "md": ("HD", "EX", "NF", "nothing"),
    "ma": ("HD", "VA", "EX", "NF", "nothing"),
}
"""What flags may be answered; all with all but for those in NEVER."""

NEVER: set[Cell] = {
    ("mg", "-", "VA"),  # asks for a value
    ("mg", "v", "HD"),
    ("mg", "q", "EN"),
    ("mg", "-", "nothing"),  # is quiet
    *product(["mg"], ["N"], ["EN", "nothing"]),  # creates what it misses
    *product(["ms"], ["-"], ["EX", "NF", "NS", "nothing"]),
    ("ms", "q", "HD"),
    *product(["ms"], ["ME"], ["EX", "NF"]),  # add asks for no unique, and nothing that it could miss
    *product(["ms"], ["MA", "MP"], ["NF"]),  # are NS
    ("ms", "MS", "NS"),
    *product(["md"], ["-"], ["EX", "nothing"]),
    ("md", "q", "HD"),
    *product(["ma"], ["-"], ["VA", "EX", "nothing"]),
    ("ma", "v", "HD"),
    ("ma", "N", "NF"),
}
ALSO = {("mg", flag, reply) for flag, reply in product(("-> W", "-> X", "-> Z"), ("HD", "VA"))}
"""Flags of mg's answer that the command did not give."""

_TOKENS = {
    "b": "CLIENT_ERROR error decoding key",
    "C": TOKEN,
    "D": "CLIENT_ERROR invalid numeric delta value",
    "F": FORMAT,
    "J": "CLIENT_ERROR invalid numeric initial value",
    "M": "CLIENT_ERROR incorrect length for M token",
    "N": TOKEN,
    "O": "CLIENT_ERROR opaque token too long",
    "R": TOKEN,
    "T": TOKEN,
}
"""What is answered to a token that is wrong."""
META_ERRORS: dict[tuple[str, str], tuple[str, ...]] = {
    **{(name, flag): (reply,) for name in ("mg", "ms") for flag, reply in _TOKENS.items() if flag != "F"},
    **{(name, "O"): (_TOKENS["O"],) for name in ("md", "ma")},
    **{(name, flag): ("CLIENT_ERROR invalid or duplicate flag",) for name in ("md", "ma") for flag in "CDFJMNRTb"},
    ("ms", "MX"): ("CLIENT_ERROR invalid mode for ms M token",),
    ("ma", "MX"): ("CLIENT_ERROR invalid mode for ma M token",),
    ("mg", "-"): ("ERROR", "CLIENT_ERROR options flags are too long"),
    ("ms", "-"): ("ERROR", "CLIENT_ERROR options flags too long", CHUNK, LARGE, FULL),
    ("md", "-"): ("ERROR", FORMAT, "CLIENT_ERROR options flags too long", "CLIENT_ERROR invalid or duplicate flag"),
    ("ma", "-"): (
        *("ERROR", FORMAT, "CLIENT_ERROR options flags too long", "CLIENT_ERROR invalid or duplicate flag", NO_NUMBER),
        *("SERVER_ERROR out of memory", "SERVER_ERROR Out of memory allocating new item"),
        *("CLIENT_ERROR invalid mode for ma M token", "CLIENT_ERROR opaque token too long"),
    ),
}
"""By the flag that is to blame, where it is the only one."""
for _name in ("mg", "ms"):
    META_ERRORS[_name, "-"] += (*_TOKENS.values(), "CLIENT_ERROR duplicate flag", "CLIENT_ERROR invalid flag")
META_ERRORS["ms", "-"] += ("CLIENT_ERROR invalid mode for ms M token",)
META_ERRORS["md", "-"] += ("CLIENT_ERROR opaque token too long",)

META = frozenset(FLAGS)
NAMES = META | {name for name, _ in TEXT}

# --- the binary protocol -----------------------------------------------------------------------------------------

STATUS = {
    -1: "nothing",
    0x00: "no error",
    0x01: "key not found",
    0x02: "key exists",
    0x03: "value too large",
    0x04: "invalid arguments",
    0x05: "item not stored",
    0x06: "non-numeric value",
    0x20: "authentication error",
    0x81: "unknown command",
    0x82: "out of memory",
}
_OPCODES = """get set add replace delete increment decrement quit flush getq no-op version getk getkq append prepend
stat setq addq replaceq deleteq incrementq decrementq quitq flushq appendq prependq - touch gat gatq - sasl_list
sasl_auth sasl_step gatk gatkq""".split()
OPCODES = {number: name for number, name in enumerate(_OPCODES) if name != "-"}


OK, MISS, EXISTS, LARGE_VALUE, INVALID, NOT_STORED, NOT_NUMBER, REFUSED, UNKNOWN, NO_MEMORY = list(STATUS.values())[1:]
_STORE = (OK, LARGE_VALUE, INVALID, NO_MEMORY)
BINARY: dict[str, dict[str, tuple[str, ...]]] = {
    "get": {"-": (OK, MISS, INVALID, UNKNOWN)},  # unknown: whose body is shorter than what is in it
    "set": {"-": _STORE, "cas": (*_STORE, MISS, EXISTS)},
    "add": {"-": (*_STORE, EXISTS), "cas": (*_STORE, MISS, EXISTS)},
    "replace": {"-": (*_STORE, MISS), "cas": (*_STORE, MISS, EXISTS)},
    "delete": {"-": (OK, MISS, INVALID), "cas": (OK, MISS, EXISTS, INVALID)},
    "increment": {
        "-": (OK, MISS, INVALID, NOT_NUMBER, NO_MEMORY),
        "cas": (OK, MISS, EXISTS, INVALID, NOT_NUMBER, NO_MEMORY),
    },
    "quit": {"-": (OK, INVALID)},
    "flush": {"-": (OK, INVALID, REFUSED)},
    "no-op": {"-": (OK, INVALID)},
    "version": {"-": (OK, INVALID)},
    "getk": {"-": (OK, MISS, INVALID)},
    "append": {"-": (*_STORE, NOT_STORED), "cas": (*_STORE, NOT_STORED, EXISTS)},
    "stat": {"-": (OK, MISS, INVALID)},
    "touch": {"-": (OK, MISS, INVALID)},
    "gat": {"-": (OK, MISS, INVALID)},
    "gatk": {"-": (OK, MISS, INVALID)},
    "sasl_list": {"-": (UNKNOWN, INVALID)},
    "sasl_auth": {"-": (UNKNOWN, INVALID)},
    "sasl_step": {"-": (UNKNOWN, INVALID)},
    "(unknown)": {"-": (UNKNOWN, INVALID)},
}
BINARY["decrement"], BINARY["prepend"] = BINARY["increment"], BINARY["append"]
# Quiet forms: silent where the others have no error, or for gets where they miss.
for _name in "set add replace delete increment decrement quit flush append prepend".split():
    BINARY[f"{_name}q"] = {
        flag: tuple("nothing" if reply == OK else reply for reply in replies) for flag, replies in BINARY[_name].items()
    }
for _name in ("get", "getk", "gat", "gatk"):
    BINARY[f"{_name}q"] = {"-": (OK, "nothing", INVALID)}

CELLS: set[Cell] = {
    *((name, flag, reply) for (name, flag), replies in (*TEXT.items(), *META_ERRORS.items()) for reply in replies),
    *(cell for name in META for cell in product([name], FLAGS[name], GOOD[name]) if cell not in NEVER),
    *ALSO,
    *((f"binary {name}", flag, reply) for name, flags in BINARY.items() for flag in flags for reply in flags[flag]),
}

NOT_BUILT: set[Cell] = {
    *(("stats", f"detail {word}", "OK") for word in ("on", "off")),
    *(("stats", "detail dump", reply) for reply in ("PREFIX", "END")),
    *(cell for cell in CELLS if cell[:2] == ("stats", "cachedump") and not cell[2].endswith("not allowed")),
}
"""What ours answers as where it is switched off."""
_UDP = """
set: STORED ERROR CLIENT_ERROR
add append prepend replace: STORED NOT_STORED ERROR CLIENT_ERROR
cas: EXISTS NOT_FOUND ERROR CLIENT_ERROR
get gets bget: VALUE END ERROR
gat gats: VALUE END ERROR CLIENT_ERROR
incr decr: number NOT_FOUND ERROR CLIENT_ERROR
delete: DELETED NOT_FOUND ERROR CLIENT_ERROR
touch: TOUCHED NOT_FOUND ERROR CLIENT_ERROR
verbosity flush_all: OK ERROR CLIENT_ERROR
cache_memlimit: OK ERROR MEMLIMIT_ADJUST_FAILED MEMLIMIT_TOO_SMALL
stats: STAT RESET ERROR
mg: HD VA EN ERROR CLIENT_ERROR
ms: HD NS NF EX ERROR CLIENT_ERROR
md: HD NF EX ERROR CLIENT_ERROR
ma: HD VA NF EX ERROR CLIENT_ERROR
me: ME EN CLIENT_ERROR
mn: MN
version: VERSION
shutdown: ERROR:
(unknown): ERROR
"""
UDP: set[Cell] = {
    (f"udp {name}", "-", reply)
    for names, replies in (line.split(": ") for line in _UDP.strip().split("\n"))
    for name in names.split()
    for reply in replies.split()
}
"""First words of the replies to a datagram's first command."""


def binary_row(number: int, unique: int) -> tuple[str, str]:
    """Command and flag."""
    name = OPCODES.get(number, "(unknown)")
    return f"binary {name}", "cas" if unique and "cas" in BINARY[name] else "-"


def text_flag(name: str, words: list[str]) -> str:
    """What of a text command's words is its flag."""
    if (name, "1 key") in TEXT:
        keys = len(words) - name.startswith("gat")
        return ("none" if keys < 1 else "1 key") if keys < 2 else "keys"
    if name == "stats":
        found = " ".join(words[:2]) if words[:1] == ["detail"] else words[0] if words else "-"
        return found if (name, found) in TEXT else "detail" if words[:1] == ["detail"] else "(unknown)"
    if name == "flush_all" and words and words[-1] != "noreply":
        return "delay"
    found = "b" if name == "me" and len(words) > 1 and words[1][:1] == "b" else words[-1] if words else "-"
    return found if (name, found) in TEXT else "-"
