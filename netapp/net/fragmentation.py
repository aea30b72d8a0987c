"""Cutting packets into fragments."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.libc.stdint import uint8_t, uint16_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.netapp.iobuf.chain import CHECKSUM_PARTIAL, new_chain
from cython.cimports.netapp.net.counters import net_counters_t
from cython.cimports.netapp.net.ports import siphash
from cython.cimports.netapp.wire import ipv4
from cython.cimports.netapp.wire.checksum import fold, sum_chain


class Identifications:
    def __cinit__(self, secret: bytes):
        self.secret[0] = int.from_bytes(secret[:8], "little")
        self.secret[1] = int.from_bytes(secret[8:16], "little")

    @cython.overflowcheck(False)
    def take(self, source, destination, protocol):
        # RFC 7739, 5.3: F() and G() are two parts of one keyed hash.
        flow: uint32_t[3]
        hashed: uint64_t
        flow[0] = source
        flow[1] = destination
        flow[2] = protocol
        hashed = siphash(self.secret, cython.cast(cython.pointer(uint8_t), flow), 12)
        bucket: uint32_t = cython.cast(uint32_t, hashed >> 16) % COUNTERS
        self.counters[bucket] = cython.cast(uint16_t, self.counters[bucket] + 1)
        return cython.cast(uint16_t, hashed + self.counters[bucket])


def complete_checksum(packet):
    start: uint64_t = packet.offload.csum_start
    stored: uint16_t
    if packet.offload.flags & CHECKSUM_PARTIAL:
        # The field holds the pseudo-header's sum already.
        stored = ~fold(sum_chain(packet, start, 0))
        # UDP's 0 says that there is none (RFC 768); to the others both zeros are the same.
        if stored == 0:
            stored = 0xFFFF
        memcpy(packet.head.data + start + packet.offload.csum_offset, cython.address(stored), 2)
    memset(cython.address(packet.offload), 0, cython.sizeof(packet.offload))
    return 0


def send_fragments(path, packet, protocol, identification, mtu):
    counters: cython.pointer(net_counters_t) = path.interface.counters
    # All but the last carry a multiple of 8 bytes (RFC 791, 3.2).
    most: uint64_t = (mtu - ipv4.HEADER_BYTES_MIN) & ~cython.cast(uint32_t, 7)
    offset: uint64_t = 0
    length: uint64_t
    word: uint16_t
    piece: Chain
    while offset < packet.length:
        length = packet.length - offset
        word = cython.cast(uint16_t, offset >> 3)
        if length > most:
            length = most
            word |= ipv4.MORE_FRAGMENTS
        piece = new_chain()
        if not piece.append_range(packet.head, offset, length):
            counters.transmit_exhausted += 1
            break
        if not path.send_piece(piece, protocol, identification, word):
            if offset == 0:
                return False
            # Of a part the receiver makes nothing.
            counters.transmit_full += 1
            break
        counters.ipv4_fragments_sent += 1
        offset += length
    else:
        counters.ipv4_fragmented += 1
    packet.drop_views()
    return True
