"""VLAN tags into transmitted frames (IEEE 802.1Q)."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.libc.stdint import uint8_t
from cython.cimports.libc.string import memcpy
from cython.cimports.netapp.iobuf.pool import PLACE_NETWORK
from cython.cimports.netapp.wire import ethernet, vlan
from cython.cimports.netapp.wire.bytes import load16, store16


class TaggingQueue:
    def transmit(self, frame):
        addresses: uint8_t[14]
        at: cython.pointer(uint8_t)
        offloads: cython.bint = frame.offload.flags or frame.offload.gso_type
        frame.copy_out(0, addresses, ethernet.HEADER_BYTES)
        frame.advance(ethernet.HEADER_BYTES)
        at = frame.prepend(ethernet.HEADER_BYTES + vlan.HEADER_BYTES, PLACE_NETWORK)
        if at == cython.NULL:
            # The pool is exhausted, and the frame has no header any more: the same as lost on the way.
            frame.advance(frame.length)
            return True
        memcpy(at, addresses, ethernet.OFFSET_ETHERTYPE)
        store16(at + ethernet.OFFSET_ETHERTYPE, vlan.TAG_TYPE)
        vlan.write(at + ethernet.HEADER_BYTES, self.identifier, load16(addresses + ethernet.OFFSET_ETHERTYPE))
        if offloads:
            frame.offload.csum_start += vlan.HEADER_BYTES
            frame.offload.header_length += vlan.HEADER_BYTES
        if self.inner.transmit(frame):
            return True
        # The ring is full: the frame as it was.
        at = frame.head.data + vlan.HEADER_BYTES
        frame.advance(vlan.HEADER_BYTES)
        memcpy(at, addresses, ethernet.HEADER_BYTES)
        if offloads:
            frame.offload.csum_start -= vlan.HEADER_BYTES
            frame.offload.header_length -= vlan.HEADER_BYTES
        return False


def make_tagging_queue(inner, identifier):
    made: TaggingQueue = TaggingQueue.__new__(TaggingQueue)
    made.device = inner.device
    made.inner = inner
    made.identifier = identifier
    return made
