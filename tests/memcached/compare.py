"""Two servers given the same sequences."""

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

Ask = Callable[[bytes, bytes], bytes]


class Peer(Protocol):
    def ask(self, script: bytes) -> bytes: ...

    def connection(self) -> AbstractContextManager[Ask]:
        """One that is kept: what is sent, and the end of its answer. That comes, unless the server closes before."""


STATS_THAT_DIFFER = {
    "pid|time|uptime|oldest(?= [1-9])|rusage_user|rusage_system": "of the process, its clock and its day",
    "tcpport|inter": "where the tests have them listen",
    "libevent|threads|num_threads|num_threads_per_udp|hash_algorithm": "what they are built of",
    "curr_connections|total_connections|connection_structures|reserved_fds": "listeners, and what is being closed",
    r"response_obj_\w+|read_buf_\w+": "buffers of connections, which ours has not",
    "bytes_written": "the lengths of what differs",
    r"bytes|hash_bytes|hash_power_level|(?:items:\d+:)?mem_requested": "memory",
    r"lru_crawler_starts|lru_maintainer_juggles|(?:items:\d+:)?lrutail_reflocked": "what threads do that ours has not",
    r"(?:items:\d+:)?(?:number_\w+|moves_\w+|hits_to_\w+|age\w*)": "segments of the LRU, moved by a thread",
    r"\d+:(?:listen_addr|addr|secs_since_last_cmd)": "of connections",
}

ALLOWED = (
    (
        re.compile(rf"(?m)^STAT (?:(?P<name>{'|'.join(STATS_THAT_DIFFER)})) [^\r]*".encode()),
        rb"STAT \g<name> #",
        "statistics: STATS_THAT_DIFFER",
    ),
    (
        re.compile(rb"STAT \d+:addr [^\r]*\r\nSTAT \d+:state conn_listening\r\nSTAT \d+:secs\w+ \S+\r\n"),
        b"",
        "listeners, of which ours tells in stats settings",
    ),
    (re.compile(rb"(?m)^STAT \d+:(?=listen_addr|addr|state|secs_)"), b"STAT #:", "descriptors of connections"),
    (re.compile(rb"(?<= )t\d+(?=[ \r])"), b"t#", "seconds left: the servers' clocks tick at different moments"),
    (re.compile(rb"(?<= )l\d+(?=[ \r])"), b"l#", "seconds since the last access, as above"),
    (re.compile(rb"(?<= )(exp|la)=\d+"), rb"\1=#", "seconds that me tells of, as above"),
)


def comparable(reply: bytes) -> bytes:
    for pattern, replacement, _ in ALLOWED:
        reply = pattern.sub(replacement, reply)
    return reply


def differ(expected: Peer, got: Peer, commands: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    replies = tuple(comparable(peer.ask(b"".join(commands))) for peer in (expected, got))
    return None if replies[0] == replies[1] else (replies[0], replies[1])
