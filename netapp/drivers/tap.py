"""A tap device of Linux."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

import errno as codes
import fcntl
import hashlib
import os
import struct

from cython.cimports.libc.stdint import uint32_t
from cython.cimports.netapp.drivers.device import (
    FEATURE_CHECKSUM,
    FEATURE_RX_CHECKSUM,
    FEATURE_RX_TSO4,
    FEATURE_RX_USO,
    FEATURE_TSO4,
    FEATURE_USO,
)
from cython.cimports.netapp.drivers.linux import interface_mtu
from cython.cimports.netapp.drivers.tap_queue import TapRwQueue
from cython.cimports.netapp.drivers.tap_uring import TapUringQueue
from cython.cimports.netapp.drivers.vnet import LONGEST_FRAME, VNET_BYTES

from netapp.drivers.tap_queue import TapError

# linux/if_tun.h
_TUNSETIFF = 0x400454CA
_TUNGETIFF = 0x800454D2
_TUNSETOFFLOAD = 0x400454D0
_TUNSETVNETHDRSZ = 0x400454D8
_IFF_TAP, _IFF_MULTI_QUEUE, _IFF_PERSIST, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x0100, 0x0800, 0x1000, 0x4000
_TUN_F_CSUM, _TUN_F_TSO4, _TUN_F_USO4, _TUN_F_USO6 = 0x01, 0x02, 0x20, 0x40

_ETHERNET_VLAN = cython.declare(uint32_t, 18)


def _open(name, offloads):
    """(descriptor, interface's name, whether frames have a header): the most that the kernel gives."""
    wanted = [_IFF_VNET_HDR, _IFF_VNET_HDR | _IFF_MULTI_QUEUE, 0, _IFF_MULTI_QUEUE]
    if not offloads:
        wanted = wanted[2:]
    try:
        file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise TapError(
            codes.ENOENT,
            "/dev/net/tun is missing: modprobe tun, or mkdir -p /dev/net && mknod /dev/net/tun c 10 200",
        ) from None
    except PermissionError:
        raise TapError(codes.EACCES, "/dev/net/tun cannot be opened: run as root, or be given access to it") from None
    except OSError as error:
        raise TapError(error.errno, f"/dev/net/tun: {error.strerror}: modprobe tun") from None
    try:
        failure = None
        for flags in wanted:
            request = struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI | flags)
            try:
                given = fcntl.ioctl(file, _TUNSETIFF, request)
            except OSError as error:
                # EINVAL: an interface that exists has other flags.
                failure = error
                if error.errno != codes.EINVAL:
                    break
                continue
            header = bool(flags & _IFF_VNET_HDR)
            if header:
                fcntl.ioctl(file, _TUNSETVNETHDRSZ, struct.pack("i", VNET_BYTES))
            return file, given[:16].rstrip(b"\0").decode(), header
        if failure.errno == codes.EPERM:
            raise TapError(
                codes.EPERM, f"no permission for the tap device {name}: run as root (CAP_NET_ADMIN) or as its owner"
            )
        if failure.errno == codes.EBUSY:
            raise TapError(
                codes.EBUSY, f"another process uses the tap device {name}: stop that one, or choose another name"
            )
        if failure.errno == codes.EINVAL:
            raise TapError(codes.EINVAL, f"{name} is no tap device: choose another name")
        raise TapError(failure.errno, f"tap device {name}: {failure.strerror}")
    except BaseException:
        os.close(file)
        raise


def _mtu(name):
    found: cython.int = interface_mtu(name.encode())
    if found < 0:
        raise TapError(-found, f"tap device {name}: its MTU: {os.strerror(-found)}")
    return found


def _negotiate(file):
    """What the kernel may hand us: only what is honoured here, and only what it knows. Those that know of USO (6.2 and
    later) want both of its bits, and cut what we send, too."""
    for bits, features in (
        (
            _TUN_F_CSUM | _TUN_F_TSO4 | _TUN_F_USO4 | _TUN_F_USO6,
            FEATURE_RX_CHECKSUM | FEATURE_RX_TSO4 | FEATURE_RX_USO | FEATURE_USO,
        ),
        (_TUN_F_CSUM | _TUN_F_TSO4, FEATURE_RX_CHECKSUM | FEATURE_RX_TSO4),
        (_TUN_F_CSUM, FEATURE_RX_CHECKSUM),
        (0, 0),
    ):
        try:
            fcntl.ioctl(file, _TUNSETOFFLOAD, bits)
            return features
        except OSError:
            continue
    return 0


def _no_uring(error):
    """Why, and what to do."""
    if error == codes.EPERM:
        try:
            with open("/proc/sys/kernel/io_uring_disabled") as setting:
                disabled = setting.read().strip()
        except OSError:
            disabled = "0"
        if disabled != "0":
            return f"io_uring is disabled (kernel.io_uring_disabled is {disabled}): sysctl kernel.io_uring_disabled=0"
        return "io_uring is forbidden: let the container or service (its seccomp filter) use io_uring_setup and its kin"
    if error == codes.ENOSYS:
        return "there is no io_uring here: take a kernel that has it, or a seccomp filter that does not hide it"
    if error == codes.ENOMEM:
        return "io_uring gets no memory: raise ulimit -l"
    if error in (codes.EOPNOTSUPP, codes.EINVAL):
        return "io_uring cannot read this tap without waiting: take a newer kernel"
    return f"io_uring fails: {os.strerror(error)}: take another kernel"


def stable_mac(name):
    """A locally administered address that is the same whenever this host opens a tap of this name."""
    digest = hashlib.sha256(f"netapp {os.uname().nodename} {name}".encode()).digest()
    return bytes([digest[0] & 0xFC | 0x02]) + digest[1:6]


class TapDevice:
    def __init__(self, name, mtu=1500, mac=None, offloads=True, io="auto"):
        """Opens the tap `name`; makes it when there is none and this process may. Such a one goes when it is closed.

        `mtu`: None: the interface's. `offloads`: False for a device that neither checksums nor segments. `io`: "rw",
        "uring", or "auto": io_uring where the kernel lets us. Raises TapError.
        """
        header_bytes: uint32_t = 0
        longest: uint32_t
        # The kernel would take a percent sign for a pattern, and choose another name.
        if not 1 <= len(name.encode()) <= 15 or set(name) & set("/%") or name != name.strip():
            raise TapError(
                codes.EINVAL, f"{name!r} is no name for an interface: 1 to 15 characters, no space, slash or percent"
            )
        if mtu is not None and not 68 <= mtu <= 65521:
            raise TapError(codes.EINVAL, f"an MTU of {mtu} bytes: choose 68 to 65521")
        if mac is not None and len(mac) != 6:
            raise ValueError("a MAC address has 6 bytes")
        file, self.name, header = _open(name, offloads)
        try:
            self.mtu = _mtu(self.name) if mtu is None else mtu
            self.persistent = struct.unpack("16xH22x", fcntl.ioctl(file, _TUNGETIFF, bytes(40)))[0] & _IFF_PERSIST != 0
            self.mac = stable_mac(self.name) if mac is None else bytes(mac)
            if header:
                header_bytes = VNET_BYTES
                self.features = FEATURE_CHECKSUM | FEATURE_TSO4 | _negotiate(file)
            longest = LONGEST_FRAME if self.features & FEATURE_RX_TSO4 else self.mtu + _ETHERNET_VLAN
            self._choose(file, io)
            self.queue.open(self, file, longest, header_bytes)
        except BaseException:
            os.close(file)
            raise
        self.queues = (self.queue,)

    def _choose(self, file, io):
        """The queue, by how frames are to go."""
        uring: TapUringQueue
        error: cython.int
        if io not in ("auto", "rw", "uring"):
            raise ValueError(f"io={io!r}: choose auto, rw or uring")
        if io != "rw":
            uring = TapUringQueue()
            error = uring.setup(file)
            if error == 0:
                self.io = "uring"
                self.queue = uring
                return 0
            reason = _no_uring(error)
            if io == "uring":
                raise TapError(error, f"{reason}, or let frames go by readv and writev (--io rw)")
            self.no_uring = reason
        self.io = "rw"
        self.queue = TapRwQueue()
        return 0

    def fileno(self):
        """Of the descriptor, for who hands it on."""
        return self.queue.file

    @property
    def when_removed(self):
        return self.queue.when_removed

    @when_removed.setter
    def when_removed(self, function):
        self.queue.when_removed = function

    @property
    def gone(self):
        """Whether somebody removed the interface."""
        return self.queue.gone

    def close(self):
        self.queue.close()
