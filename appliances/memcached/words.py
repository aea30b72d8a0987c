"""The protocol's fixed replies, and numbers as memcached's C reads them."""

import re

KEY_MAX = 250
VERSION = b"1.6.18"  # whose replies these are

ERROR = b"ERROR\r\n"
BAD_FORMAT = b"CLIENT_ERROR bad command line format\r\n"
BAD_CHUNK = b"CLIENT_ERROR bad data chunk\r\n"
TOO_LARGE = b"SERVER_ERROR object too large for cache\r\n"
NO_MEMORY = b"SERVER_ERROR out of memory storing object\r\n"
TOO_MANY = b"ERROR Too many open connections\r\n"

# strtol() steps over white space and a sign; memcached then wants the end or white space, and ignores what follows.
_NUMBER = re.compile(rb"[ \t-\r]*([+-]?)([0-9]+)(?=[ \t-\r]|\Z)")


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
    """strtoull(), refusing what is negative."""
    value = _number(text)
    return value if value is not None and 0 <= value < 2**64 else None


def lower_half(number: int) -> int:
    """What a C int keeps of it."""
    return (number + 0x80000000) % 0x100000000 - 0x80000000
