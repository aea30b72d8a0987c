"""The Linux kernel's stack, over a tap in a network namespace: this process is both the program and the wire.

The kernel handles a frame while it is written; an echo request behind it is answered last, so that when its answer has
come, all has. Its time is real, but nothing of a sequence takes as long as its shortest time-out.
"""

import errno
import fcntl
import os
import select
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.differential.peer import Peer, checksum, sent_text
from tests.differential.sides import Seen
from tests.support.namespaces import ip, network_namespace

HOST, PEER = "10.99.0.1", "10.99.0.2"
MAC, HOST_MAC = b"\x02\0\0\0\0\x02", b"\x02\0\0\0\0\x01"
_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 2, 0x1000
_RECEIVE_BUFFER = 32768
_SO_SNDBUFFORCE = 32

# What ours has not, is off. Acknowledgments do not wait (the route's attribute quickack).
_SYSCTLS = {
    "tcp_sack": 0,
    "tcp_timestamps": 0,
    "tcp_ecn": 0,
    "tcp_fastopen": 0,
    "tcp_syncookies": 0,
    "tcp_autocorking": 0,
    "tcp_early_retrans": 0,
    "tcp_recovery": 0,
    "tcp_frto": 0,
    "tcp_no_metrics_save": 1,
    "tcp_moderate_rcvbuf": 0,
    "tcp_retrans_collapse": 0,
    "tcp_invalid_ratelimit": 0,
    "tcp_challenge_ack_limit": 2**31 - 1,
    "tcp_congestion_control": "reno",
    "tcp_rto_min_us": 60_000_000,
    "tcp_max_tw_buckets": 1 << 20,
}

_STATES = {
    1: "ESTABLISHED",
    2: "SYN_SENT",
    3: "SYN_RECEIVED",
    4: "FIN_WAIT_1",
    5: "FIN_WAIT_2",
    6: "TIME_WAIT",
    7: "CLOSED",
    8: "CLOSE_WAIT",
    9: "LAST_ACK",
    10: "CLOSED",  # the listener, which is no connection
    11: "CLOSING",
    12: "SYN_RECEIVED",
}
_CLOSE = 7
# EPIPE: a reset in CLOSE_WAIT.
_ERRORS = {errno.ECONNRESET: "reset", errno.EPIPE: "reset", errno.ECONNREFUSED: "refused"}


class Kernel:
    """The tap, and questions to the kernel about connections."""

    def __init__(self, tap: int) -> None:
        self.tap = tap
        self.diagnosis = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4)  # NETLINK_SOCK_DIAG
        self.barriers = 0

    def write(self, packet: bytes) -> None:
        os.write(self.tap, HOST_MAC + MAC + b"\x08\x00" + packet)

    def settled(self) -> list[bytes]:
        """The packets that the kernel sent up to now."""
        self.barriers = (self.barriers + 1) % 65536
        number = self.barriers.to_bytes(2, "big")
        echo = b"\x08\0\0\0\x77\x77" + number
        echo = echo[:2] + checksum(echo).to_bytes(2, "big") + echo[4:]
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(echo), 1, 0, 64, 1, 0) + _packed(PEER) + _packed(HOST)
        self.write(header[:10] + checksum(header).to_bytes(2, "big") + header[12:] + echo)
        found = []
        while True:
            frame = self._read()
            if frame[12:14] != b"\x08\x00":
                continue
            packet = frame[14 : 14 + struct.unpack_from("!H", frame, 16)[0]]
            if packet[9] == 6:
                found.append(packet)
            elif packet[9] == 1 and packet[20] == 0 and packet[24:28] == b"\x77\x77" + number:
                return found

    def _read(self) -> bytes:
        while True:
            try:
                return os.read(self.tap, 65536)
            except BlockingIOError:
                assert select.select([self.tap], [], [], 10)[0], "the kernel does not answer an echo request"

    def state(self, port: int, peer_port: int) -> str:
        """By sock_diag(7)."""
        key = struct.pack("!HH4s12x4s12x", port, peer_port, _packed(HOST), _packed(PEER))
        request = struct.pack("=BBBxI", socket.AF_INET, 6, 0, 0xFFFFFFFF) + key + struct.pack("=III", 0, M32, M32)
        self.diagnosis.send(struct.pack("=IHHII", 16 + len(request), 20, 1, 1, 0) + request)
        answer = self.diagnosis.recv(4096)
        kind = struct.unpack_from("=H", answer, 4)[0]
        if kind == 2:  # NLMSG_ERROR
            error = -struct.unpack_from("=i", answer, 16)[0]
            assert error == errno.ENOENT, os.strerror(error)
            return "CLOSED"
        return _STATES[answer[17]]


M32 = 0xFFFFFFFF


class Program:
    """A socket, read whenever the program is not paused."""

    def __init__(self, own: socket.socket) -> None:
        self.socket = own
        own.setblocking(False)
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        own.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
        self.data = b""
        self.ended = False
        self.error = ""
        self.paused = False
        self.written = 0

    def look(self) -> None:
        if self.error:
            return
        error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        while not self.ended:
            try:
                piece = self.socket.recv(1 << 16, socket.MSG_PEEK if self.paused else 0)
            except BlockingIOError:
                break
            except OSError as raised:
                error = error or raised.errno or 0
                break
            if piece and self.paused:
                break
            self.data += piece
            if not piece:
                # With an error there is nothing to read either.
                self.ended = not error
                break
        if error and error != errno.ENOTCONN:
            self.error = _ERRORS.get(error) or errno.errorcode[error]

    def call(self, name: str, length: int) -> str:
        if name == "write":
            sent = self.socket.send(sent_text(self.written, length), socket.MSG_NOSIGNAL)
            assert sent == length
            self.written += sent
        elif name == "close":
            self.socket.shutdown(socket.SHUT_WR)
        elif name == "abort":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.socket.close()
            self.error = "aborted"
        return ""

    @property
    def closed(self) -> bool:
        """Also in TIME-WAIT, which is the socket's no more."""
        return bool(self.error) or self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _CLOSE

    def end(self) -> None:
        if self.socket.fileno() >= 0:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.socket.close()


class Theirs:
    def __init__(self, kernel: Kernel, port: int, peer_port: int, isn: int) -> None:
        self.kernel = kernel
        self.peer = Peer(_packed(PEER), peer_port, _packed(HOST), port, isn)
        self.listener: socket.socket | None = None
        self.made: list[Program] = []

    def deliver(self, packet: bytes) -> None:
        self.kernel.write(packet)

    def call(self, name: str, length: int) -> str:
        if name in ("listen", "connect"):
            own = socket.socket()
            own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            own.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, 1 << 22)
            own.bind((HOST, self.peer.to_port))
            own.setblocking(False)
            if name == "listen":
                own.listen(16)
                self.listener = own
            else:
                own.connect_ex((PEER, self.peer.port))
                self.made.append(Program(own))
            return ""
        if not self.made:
            return "no connection"
        if name in ("pause", "resume"):
            self.made[-1].paused = name == "pause"
            return ""
        if self.made[-1].closed:
            return "no connection"
        try:
            return self.made[-1].call(name, length)
        except OSError:
            return "refused"

    def sent(self) -> list[bytes]:
        found = self.kernel.settled()
        # Reading opens the window, which may be said.
        self._look()
        return found + self.kernel.settled()

    def _look(self) -> None:
        if self.listener:
            try:
                while True:
                    self.made.append(Program(self.listener.accept()[0]))
            except BlockingIOError:
                pass
        for one in self.made:
            one.look()

    def programs(self) -> tuple[Seen, ...]:
        return tuple(Seen(one.data, one.ended, one.error) for one in self.made)

    def state(self) -> str:
        return self.kernel.state(self.peer.to_port, self.peer.port)

    def end(self) -> None:
        for one in self.made:
            one.end()
        if self.listener:
            self.listener.close()
        self.kernel.settled()


def _packed(address: str) -> bytes:
    return socket.inet_aton(address)


@contextmanager
def kernel() -> Iterator[Kernel]:
    with network_namespace():
        tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", b"differential", _IFF_TAP | _IFF_NO_PI))
            for name, value in _SYSCTLS.items():
                Path("/proc/sys/net/ipv4", name).write_text(str(value))
            Path("/proc/sys/net/ipv6/conf/differential/disable_ipv6").write_text("1")
            ip(f"link set differential address {HOST_MAC.hex(':')} up")
            ip(f"addr add {HOST}/24 dev differential noprefixroute")
            ip("route add 10.99.0.0/24 dev differential quickack 1")
            ip(f"neigh replace {PEER} lladdr {MAC.hex(':')} dev differential nud permanent")
            made = Kernel(tap)
            try:
                yield made
            finally:
                made.diagnosis.close()
        finally:
            os.close(tap)


@contextmanager
def theirs(made: Kernel, port: int, peer_port: int, isn: int) -> Iterator[Theirs]:
    side = Theirs(made, port, peer_port, isn)
    try:
        yield side
    finally:
        side.end()
