"""What no good client sends, with what memcached 1.6.18 answers; each script meets an empty server.

tests/memcached/test_bad_clients.py proves the answers with Debian's memcached, tests/appliances with ours.
"""

import random
import struct
from dataclasses import dataclass

from tests.memcached.binary import request

ERROR, VERSION = b"ERROR\r\n", b"VERSION 1.6.18\r\n"
BAD_FORMAT = b"CLIENT_ERROR bad command line format\r\n"
BAD_CHUNK = b"CLIENT_ERROR bad data chunk\r\n"
TOO_LARGE = b"SERVER_ERROR object too large for cache\r\n"
LONGEST = 2147483645  # that the length of a value may be


@dataclass(frozen=True)
class Bad:
    script: bytes
    answer: bytes = b""
    closes: bool = False


def header(opcode: int, key: int, extras: int, body: int, magic: int = 0x80) -> bytes:
    """Of a binary request, whose lengths need not fit."""
    return struct.pack(">BBHBBHIIQ", magic, opcode, key, extras, 0, 0, body, 7, 0)


def response(opcode: int, status: int = 0, body: bytes = b"", opaque: int = 0) -> bytes:
    return struct.pack(">BBHBBHIIQ", 0x81, opcode, 0, 0, 0, status, len(body), opaque, 0) + body


def _lines(seed: int) -> bytes:
    """Of random bytes."""
    choose = random.Random(seed)
    made = (choose.randbytes(choose.randrange(1, 100)).replace(b"\n", b"") + b"\n" for _ in range(50))
    return b"x" + b"".join(made)


STORED_A = b"set a 0 0 1\r\nx\r\n"
VALUE_A = b"VALUE a 0 1\r\nx\r\nEND\r\n"

TEXT = {
    "bytes 255 without end": Bad(b"\xff" * 3000, closes=True),
    "NULs without end": Bad(b"\0" * 3000, closes=True),
    "spaces without end": Bad(b" " * 3000, closes=True),
    "a line of megabytes": Bad(b"x" * (3 << 20), closes=True),
    "a storage command without end": Bad(b"set " + b"k" * (1 << 20), closes=True),
    "get behind 101 spaces, without end": Bad(b" " * 101 + b"get " + b"k " * 1500, closes=True),
    "get behind 100 spaces": Bad(b" " * 100 + b"get " + b"k " * 1500 + b"\r\n", b"END\r\n"),
    "part of a line": Bad(b"get a"),
    "random lines": Bad(_lines(1), ERROR * 50),
    "empty lines": Bad(b"\r\n" * 1000 + b"\n" * 1000, ERROR * 2000),
    "a key of a thousand bytes": Bad(b"get " + b"k" * 1000 + b"\r\nversion\r\n", BAD_FORMAT + VERSION),
    "a negative length": Bad(b"set a 0 0 -1\r\nversion\r\n", BAD_FORMAT + VERSION),
    "a negative length of 64 bits": Bad(b"set a 0 0 -9223372036854775808\r\nx\r\n", BAD_CHUNK + ERROR),
    "a negative length, meta": Bad(b"ms a -1\r\nversion\r\n", BAD_FORMAT + VERSION),
    "a length above 64 bits": Bad(b"set a 0 0 99999999999999999999\r\nversion\r\n", BAD_FORMAT + VERSION),
    "a length of 31 bits": Bad(b"set a 0 0 2147483647\r\nversion\r\n", BAD_FORMAT + VERSION),
    "the longest length": Bad(b"set a 0 0 %d\r\nversion\r\n" % LONGEST),
    "the longest length, meta": Bad(b"ms a %d\r\nversion\r\n" % LONGEST),
    "a length of 33 bits": Bad(b"set a 0 0 4294967297\r\nx\r\nversion\r\n", b"STORED\r\n" + VERSION),
    "half a value": Bad(b"set a 0 0 1000000\r\n" + b"x" * 500_000),
    "half a value too large": Bad(b"set a 0 0 2000000\r\n" + b"x" * 1_000_000),
    "a value too large": Bad(b"add a 0 0 2000000\r\n" + b"x" * 2_000_000 + b"\r\nversion\r\n", TOO_LARGE + VERSION),
    "a value too long": Bad(b"set a 0 0 1\r\n" + b"x" * 1000 + b"\r\nversion\r\n", BAD_CHUNK + ERROR + VERSION),
    "commands in a value": Bad(b"set a 0 0 100\r\n" + b"quit\r\nshutdown\r\n" * 2),
    "controls in a key": Bad(
        b"set \x01\x1b[0m\x7f\xff\rb 0 0 1\r\nx\r\nget \x01\x1b[0m\x7f\xff\rb\r\n",
        b"STORED\r\nVALUE \x01\x1b[0m\x7f\xff\rb 0 1\r\nx\r\nEND\r\n",
    ),
    "quit in a pipeline": Bad((STORED_A + b"get a\r\nquit\r\n") * 3, b"STORED\r\n" + VALUE_A, closes=True),
    "100,000 requests": Bad(b"get none\r\n" * 100_000, b"END\r\n" * 100_000),
    "100,000 requests with a value": Bad(STORED_A + b"get a\r\n" * 100_000, b"STORED\r\n" + VALUE_A * 100_000),
    "100,000 keys": Bad(
        b"get " + b" ".join(b"k%d" % i for i in range(100_000)) + b"\r\nversion\r\n", b"END\r\n" + VERSION
    ),
    # Not more: memcached finds none whose references, one for each reply not yet sent, are above 60,000.
    "50,000 keys that are there": Bad(
        STORED_A + b"get" + b" a" * 50_000 + b"\r\nversion\r\n",
        b"STORED\r\n" + b"VALUE a 0 1\r\nx\r\n" * 50_000 + b"END\r\n" + VERSION,
    ),
    "then another protocol": Bad(b"version\r\n" + request(0x0B) + b"\r\n", VERSION + ERROR),
}

NOOPED = response(0x0A)
UNKNOWN, INVALID = b"Unknown command", b"Invalid arguments"
GIB4 = 0xFFFFFFFF
BINARY = {
    "part of a header": Bad(b"\x80\x00\x00"),
    "a header of zeros": Bad(b"\x80" + b"\0" * 23, response(0, 4, INVALID), closes=True),
    "a header of ones": Bad(b"\x80" + b"\xff" * 50),
    "a response": Bad(header(0, 0, 0, 0, magic=0x81)),
    "another protocol, then": Bad(request(0x0A) + b"get a\r\n" * 10, NOOPED, closes=True),
    "quit in a pipeline": Bad(request(0x0A) + request(0x07) + request(0x0A), NOOPED + response(7), closes=True),
    "quiet quit in a pipeline": Bad(request(0x0A) + request(0x17) + request(0x0A), NOOPED, closes=True),
    "a key longer than the body": Bad(header(0, 10, 0, 5) + b"x" * 50, response(0, 0x81, UNKNOWN, 7), closes=True),
    "extras longer than the body": Bad(header(0, 0, 10, 5) + b"x" * 50, response(0, 0x81, UNKNOWN, 7), closes=True),
    "a key of 251": Bad(header(0, 251, 0, 251) + b"k" * 251, response(0, 4, INVALID, 7), closes=True),
    "a key of 251 to store": Bad(
        header(1, 251, 8, 259) + b"\0" * 8 + b"k" * 251, response(1, 4, INVALID, 7), closes=True
    ),
    "half a value": Bad(header(1, 1, 8, 1_000_009) + b"\0" * 8 + b"k" * 500_000),
    "a value of 2 GiB": Bad(header(1, 1, 8, 0x7FFFFFFF) + b"\0" * 8 + b"k" * 500_000),
    "a value of 4 GiB": Bad(header(1, 1, 8, GIB4 - (1 << 28)) + b"\0" * 8 + b"k" * 100),
    "get with a value of 4 GiB": Bad(header(0, 1, 0, GIB4) + b"k" * 100, response(0, 4, INVALID, 7), closes=True),
    "incr with a value of 4 GiB": Bad(header(5, 1, 20, GIB4) + b"k" * 100, response(5, 4, INVALID, 7), closes=True),
    "nop with a value of 4 GiB": Bad(header(0x0A, 0, 0, GIB4) + b"k" * 100, response(0x0A, 4, INVALID, 7), closes=True),
    "an unknown request of 2 GiB": Bad(header(0x30, 1, 0, 0x7FFFFFFF) + b"k" * 500_000),
    "an unknown request of 4 GiB": Bad(header(0x30, 1, 0, GIB4) + b"k" * 100, response(0x30, 0x81, UNKNOWN, 7), True),
    "SASL of 4 GiB": Bad(header(0x21, 1, 0, GIB4) + b"k" * 100, response(0x21, 0x81, UNKNOWN, 7), closes=True),
    "NULs and line ends in a key": Bad(
        request(0, b"a\0b\r\n c") + request(0x0A), response(0, 1, b"Not found") + NOOPED
    ),
    "10,000 requests": Bad(request(0x0A) * 10_000, NOOPED * 10_000),
}

BAD = {f"text: {name}": bad for name, bad in TEXT.items()} | {f"binary: {name}": bad for name, bad in BINARY.items()}
