"""A tap device of Linux."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

import errno as codes
import fcntl
import hashlib
import os
import struct

from cython.cimports.libc.errno import EAGAIN, EBADF, EINTR, EIO, ENOBUFS, ENODEV, ENOMEM, errno
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import free, malloc
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.netapp.drivers.device import (
    FEATURE_CHECKSUM,
    FEATURE_RX_CHECKSUM,
    FEATURE_RX_TSO4,
    FEATURE_RX_USO,
    FEATURE_TSO4,
    FEATURE_USO,
)
from cython.cimports.netapp.drivers.linux import EBADFD, POLLIN, POLLOUT, poll, pollfd, readv, writev
from cython.cimports.netapp.iobuf.chain import (
    CHECKSUM_PARTIAL,
    CHECKSUM_VALID,
    GSO_NONE,
    GSO_TCPV4,
    GSO_UDP_L4,
    Chain,
    new_chain,
    offload_t,
)
from cython.cimports.netapp.iobuf.pool import (
    FRAME_BYTES,
    FRAME_CLASS,
    HEADROOM,
    PLACE_DEVICE,
    UNIT_BYTES,
    UNIT_CLASS,
    iobuf_t,
    new_iobuf,
    pool_t,
    release_slot,
    running_pool,
    take_slot,
)

COUNTERS = (
    "tx_frames",
    "tx_bytes",
    "tx_full",
    "tx_link_down",
    "tx_errors",
    "tx_flattened",
    "rx_frames",
    "rx_bytes",
    "rx_no_slots",
    "rx_no_receiver",
    "rx_malformed",
    "rx_errors",
)

# linux/if_tun.h
_TUNSETIFF = 0x400454CA
_TUNGETIFF = 0x800454D2
_TUNSETOFFLOAD = 0x400454D0
_TUNSETVNETHDRSZ = 0x400454D8
_IFF_TAP, _IFF_MULTI_QUEUE, _IFF_PERSIST, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x0100, 0x0800, 0x1000, 0x4000
_TUN_F_CSUM, _TUN_F_TSO4, _TUN_F_USO4, _TUN_F_USO6 = 0x01, 0x02, 0x20, 0x40

_VNET_BYTES = cython.declare(uint32_t, 12)
_ETHERNET_VLAN = cython.declare(uint32_t, 18)
_LONGEST_FRAME = cython.declare(uint32_t, 65562)  # VIRTIO 1.2, 5.1.6.3.1, without its header
_FIRST_BYTES = cython.declare(uint32_t, FRAME_BYTES - HEADROOM)
_ECN = cython.declare(uint8_t, 0x80)  # beside gso_type


class TapError(OSError):
    """What is wrong with the tap device, and what to do, in one line."""

    def __str__(self):
        return self.strerror or OSError.__str__(self)


class TapQueue:
    def __cinit__(self):
        self.file = -1
        self.counter_values = cython.cast(cython.pointer(uint64_t), cython.address(self.count))
        self.counter_names = COUNTERS

    def __dealloc__(self):
        free(self.flat)

    def poll(self, budget):
        done: cython.int = 0
        length: cython.Py_ssize_t
        frame: Chain
        scratch: uint8_t[64]
        lost: cython.bint
        while done < budget and self.file >= 0 and not self.gone:
            lost = self.to_post != 0 and not self._post()
            if lost:
                # Reading too little makes the kernel drop the rest of the frame.
                self.gather[0].iov_base = cython.address(scratch[0])
                self.gather[0].iov_len = cython.sizeof(scratch)
                length = readv(self.file, self.gather, 1)
            else:
                length = readv(self.file, self.receive, self.posted_count)
            if length < 0:
                if errno == EINTR:
                    continue
                if errno != EAGAIN:
                    self._failed(errno)
                break
            done += 1
            if lost:
                self.count.rx_no_slots += 1
                continue
            frame = self._received(cython.cast(uint32_t, length))
            if frame is None:
                continue
            self.count.rx_frames += 1
            self.count.rx_bytes += frame.length
            if self.receiver is None:
                self.count.rx_no_receiver += 1
                continue
            self.receiver.receive_frame(frame)
        return done

    def _post(self):
        """Replaces the slots that went up with the last frame; False: the pool is exhausted."""
        pool: cython.pointer(pool_t) = running_pool()
        i: uint32_t
        while self.to_post:
            i = self.to_post - 1
            self.posted[i] = take_slot(pool, UNIT_CLASS if i else FRAME_CLASS, PLACE_DEVICE)
            if self.posted[i] == cython.NULL:
                return False
            self.receive[i].iov_base = self.posted[i].memory
            self.receive[i].iov_len = UNIT_BYTES
            if i == 0:
                # The header right before the frame.
                self.receive[0].iov_base = self.posted[0].memory + HEADROOM - self.header_bytes
                self.receive[0].iov_len = _FIRST_BYTES + self.header_bytes
            self.to_post = i
        return True

    def _received(self, length):
        """The frame that was read into the posted slots, which are its own now; None: dropped and counted."""
        frame: Chain
        view: cython.pointer(iobuf_t)
        used: uint32_t = 0
        left: uint32_t
        piece: uint32_t
        if length <= self.header_bytes:
            self.count.rx_malformed += 1
            return None
        left = length - self.header_bytes
        frame = new_chain()
        if self.header_bytes and not self._offload(
            cython.cast(cython.pointer(vnet_header_t), self.receive[0].iov_base),
            cython.address(frame.offload),
            left,
        ):
            self.count.rx_malformed += 1
            return None
        while left:
            piece = UNIT_BYTES if used else _FIRST_BYTES
            if piece > left:
                piece = left
            view = new_iobuf(
                self.posted[used], self.posted[used].memory + (0 if used else cython.cast(uint32_t, HEADROOM)), piece
            )
            if view == cython.NULL:
                self.count.rx_no_slots += 1
                break
            self.posted[used] = cython.NULL
            frame.append_view(view)
            left -= piece
            used += 1
        self.to_post = used
        return frame if left == 0 else None

    def _offload(self, header, offload, length):
        """What the kernel says about the frame; False when it does not fit the frame."""
        kind: uint8_t = header.gso_type & ~_ECN
        if header.flags & CHECKSUM_PARTIAL:
            # The field lies in the first view.
            if length > _FIRST_BYTES:
                length = _FIRST_BYTES
            if cython.cast(uint32_t, header.csum_start) + header.csum_offset + 2 > length:
                return False
        elif kind != GSO_NONE and not header.flags & CHECKSUM_VALID:
            return False
        # Nothing else was asked for.
        if kind != GSO_NONE and ((kind != GSO_TCPV4 and kind != GSO_UDP_L4) or header.gso_size == 0):
            return False
        offload.flags = header.flags & (CHECKSUM_PARTIAL | CHECKSUM_VALID)
        offload.gso_type = kind
        offload.header_length = header.header_length
        offload.gso_size = header.gso_size
        offload.csum_start = header.csum_start
        offload.csum_offset = header.csum_offset
        return True

    def transmit(self, frame):
        view: cython.pointer(iobuf_t) = frame.head
        offload: cython.pointer(offload_t) = cython.address(frame.offload)
        header: cython.pointer(vnet_header_t) = cython.address(self.header)
        gather: cython.pointer(iovec) = self.gather
        count: uint32_t = 0
        total: cython.Py_ssize_t = frame.length + self.header_bytes
        done: cython.Py_ssize_t
        if self.file < 0 or self.gone or frame.length == 0:
            self.count.tx_link_down += 1
            frame.advance(frame.length)
            return True
        if self.header_bytes:
            # Right before the frame where that is ours to write: only there can one view be one flat write.
            if (
                view.slot.references == 1
                and view.data - view.slot.memory >= self.header_bytes
                and view.slot.home != cython.address(view.slot.home.pool.external)
            ):
                header = cython.cast(cython.pointer(vnet_header_t), view.data - self.header_bytes)
            memset(header, 0, _VNET_BYTES)
            header.flags = offload.flags & CHECKSUM_PARTIAL
            if header.flags:
                header.gso_type = offload.gso_type
                header.header_length = offload.header_length
                header.gso_size = offload.gso_size
                header.csum_start = offload.csum_start
                header.csum_offset = offload.csum_offset
            gather[0].iov_base = header
            gather[0].iov_len = self.header_bytes
            count = 1
            if header != cython.address(self.header):
                gather[0].iov_len += view.length
                view = view.next
        if frame.count < MOST_VIEWS:
            while view != cython.NULL:
                gather[count].iov_base = view.data
                gather[count].iov_len = view.length
                count += 1
                view = view.next
        else:
            if frame.length > _LONGEST_FRAME:
                self.count.tx_errors += 1
                frame.advance(frame.length)
                return True
            memcpy(self.flat, header, self.header_bytes)
            frame.copy_out(0, self.flat + self.header_bytes, frame.length)
            running_pool().copied[PLACE_DEVICE] += frame.length
            self.count.tx_flattened += 1
            gather[0].iov_base = self.flat
            gather[0].iov_len = total
            count = 1
        done = writev(self.file, gather, count)
        while done < 0 and errno == EINTR:
            done = writev(self.file, gather, count)
        if done == total:
            self.count.tx_frames += 1
            self.count.tx_bytes += frame.length
            frame.advance(frame.length)
            return True
        if done < 0 and (errno == EAGAIN or errno == ENOBUFS or errno == ENOMEM):
            self.count.tx_full += 1
            self.blocked = True
            return False
        if done < 0 and errno == EIO:
            self.count.tx_link_down += 1
        else:
            self.count.tx_errors += 1
        frame.advance(frame.length)
        return True

    def enable_interrupts(self):
        # The descriptor tells of edges: of frames that came before epoll looked at it last, nothing tells.
        ready: pollfd
        if self.file < 0 or self.gone:
            return False
        ready.fd = self.file
        ready.events = POLLIN
        if self.blocked:
            ready.events |= POLLOUT
        ready.revents = 0
        if poll(cython.address(ready), 1, 0) <= 0:
            # Room to write is no edge that wakes us: polling goes on until there is.
            return self.blocked
        if ready.revents & POLLOUT:
            self.blocked = False
            return True
        return ready.revents & POLLIN != 0 or self.blocked

    def disable_interrupts(self):
        return 0

    def interrupt_source(self):
        return self.file

    def _failed(self, error):
        self.count.rx_errors += 1
        if error == EBADFD or error == EBADF or error == ENODEV:
            self.gone = True
            self.blocked = False
            device: TapDevice = self.device
            if device.when_removed is not None:
                device.when_removed()
                return 0
            raise TapError(error, f"the interface {self.device.name} was removed: nothing comes or goes any more")
        return 0

    def _close(self):
        i: uint32_t
        if self.file < 0:
            return 0
        os.close(self.file)
        self.file = -1
        self.receiver = None
        for i in range(self.to_post, self.posted_count):
            release_slot(self.posted[i])
            self.posted[i] = cython.NULL
        self.to_post = self.posted_count
        return 0


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
                fcntl.ioctl(file, _TUNSETVNETHDRSZ, struct.pack("i", _VNET_BYTES))
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


def stable_mac(name):
    """A locally administered address that is the same whenever this host opens a tap of this name."""
    digest = hashlib.sha256(f"netapp {os.uname().nodename} {name}".encode()).digest()
    return bytes([digest[0] & 0xFC | 0x02]) + digest[1:6]


class TapDevice:
    def __init__(self, name, mtu=1500, mac=None, offloads=True):
        """Opens the tap `name`; makes it when there is none and this process may. Such a one goes when it is closed.

        `offloads`: False for a device that neither checksums nor segments. Raises TapError.
        """
        queue: TapQueue
        file: cython.int
        # The kernel would take a percent sign for a pattern, and choose another name.
        if not 1 <= len(name.encode()) <= 15 or set(name) & set("/%") or name != name.strip():
            raise TapError(
                codes.EINVAL, f"{name!r} is no name for an interface: 1 to 15 characters, no space, slash or percent"
            )
        if not 68 <= mtu <= 65521:
            raise TapError(codes.EINVAL, f"an MTU of {mtu} bytes: choose 68 to 65521")
        if mac is not None and len(mac) != 6:
            raise ValueError("a MAC address has 6 bytes")
        opened, self.name, header = _open(name, offloads)
        file = opened
        try:
            queue = TapQueue()
            queue.flat = cython.cast(cython.pointer(uint8_t), malloc(_LONGEST_FRAME + _VNET_BYTES))
            if queue.flat == cython.NULL:
                raise MemoryError
            self.mtu = mtu
            self.persistent = struct.unpack("16xH22x", fcntl.ioctl(file, _TUNGETIFF, bytes(40)))[0] & _IFF_PERSIST != 0
            self.mac = stable_mac(self.name) if mac is None else bytes(mac)
            if header:
                queue.header_bytes = _VNET_BYTES
                self.features = FEATURE_CHECKSUM | FEATURE_TSO4 | _negotiate(file)
        except BaseException:
            os.close(file)
            raise
        longest: uint32_t = _LONGEST_FRAME if self.features & FEATURE_RX_TSO4 else self.mtu + _ETHERNET_VLAN
        queue.posted_count = 1
        if longest > _FIRST_BYTES:
            queue.posted_count += (longest - _FIRST_BYTES + UNIT_BYTES - 1) // UNIT_BYTES
        queue.to_post = queue.posted_count
        queue.file = file
        queue.device = self
        self.queue = queue
        self.queues = (queue,)

    @property
    def gone(self):
        """Whether somebody removed the interface."""
        return self.queue.gone

    def close(self):
        self.queue._close()
        self.when_removed = None
