"""The protocol's fixed replies, and numbers as memcached's C reads them."""

import re

KEY_MAX = 250
LONGEST_VALUE = 0x7FFFFFFD
BESIDE = 59  # bytes of memcached's item beside key, flags and value: its header, the key's end, the value's line end
FIRST_SECOND = 62  # what memcached's clock shows when it begins
ENOUGH = 1 << 20  # bytes of replies in an event, after which others have their turn
JOINED = 1024  # bytes of a value, up to which the head of the reply that is stored shares a slot with it

# What Store.store() does
SET, ADD, REPLACE, CAS, APPEND, PREPEND = 1, 2, 3, 4, 5, 6
# How it went
BAD_DATA, STORED, NOT_STORED, EXISTS, NOT_FOUND, NO_MEMORY, NOT_A_NUMBER, CREATED = 0, 1, 2, 3, 4, 5, 6, 7

CRLF = b"\r\n"
END = b"END\r\n"
VERSION = b"1.6.18"  # whose replies these are

ERROR = b"ERROR\r\n"
BAD_FORMAT = b"CLIENT_ERROR bad command line format\r\n"
BAD_CHUNK = b"CLIENT_ERROR bad data chunk\r\n"
TOO_LARGE = b"SERVER_ERROR object too large for cache\r\n"
OUT_OF_MEMORY = b"SERVER_ERROR out of memory storing object\r\n"
TOO_MANY = b"ERROR Too many open connections\r\n"

NO_NUMBER = b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"

# strtol() steps over white space and a sign; memcached then wants the end, which may be a NUL, or white space, and
# ignores what follows. Nothing is looked at twice: a value can be a megabyte of white space.
_NUMBER = re.compile(rb"[ \t-\r]*+([+-]?)([0-9]++)(?=[ \t-\r\0]|\Z)")


def word(name: bytes) -> int:
    """What Cursor.word() gives for it."""
    return int.from_bytes(name, "little")


def _number(text: bytes) -> int | None:
    found = _NUMBER.match(text)
    # Longer ones are out of range whatever they are, and int() refuses what is very long.
    if found is None or len(found[2].lstrip(b"0")) > 20:
        return None
    return int(found[1] + (found[2].lstrip(b"0") or b"0"))


def long_number(text: bytes) -> int | None:
    """strtol()."""
    value = _number(text)
    return value if value is not None and -(2**63) <= value < 2**63 else None


def unsigned_number(text: bytes) -> int | None:
    """strtoull(), which takes what is negative modulo 2^64; memcached refuses it where that is above 2^63."""
    value = _number(text)
    return value % 2**64 if value is not None and (0 <= value < 2**64 or -(2**64) < value < -(2**63)) else None


def short_number(text: bytes) -> int | None:
    """safe_strtol(): what an int32 keeps of it."""
    value = long_number(text)
    return None if value is None else lower_half(value)


def lower_half(number: int) -> int:
    """What a C int keeps of it."""
    return (number + 0x80000000) % 0x100000000 - 0x80000000
