"""What the store keeps of a key, and how it is laid out."""

import cython

from appliances.memcached.classes import CLASSES, slab_class
from appliances.memcached.words import CRLF, END, JOINED
from netapp.iobuf.chain import Chain
from netapp.iobuf.record import Record, append_record

# What -m counts of an item beside the bytes of its slots. Python's memory comes in steps of 16 bytes.
CHAIN_BYTES = 96
SLOT_BYTES = 64  # of the pool's record of a slot
VIEW_BYTES = 96  # of a view's, with that of its slot
UNIT_SHIFT = 6  # a unit of the pool has a record, too: 64 bytes of 4096

VALUE = b"VALUE "


@cython.no_gc
@cython.cclass
class Item(Record):
    flags: int
    expires: int
    time: int
    unique: int
    size: int
    counted: int
    slab_class: int
    header: int
    fetched: bool
    active: bool
    binary: bool
    stale: bool
    won: bool
    tally: "Tally"
    older: "Item"
    newer: "Item"

    def length(self) -> int:
        return self.total() - self.header - 7

    def value(self) -> bytes:
        return self.data(False).tobytes()

    def data(self, ended: bool) -> Chain:
        whole = Chain()
        self.write_to(whole, ended)
        return whole

    def write_to(self, reply: Chain, ended: bool) -> None:
        append_record(reply, self, self.header, 5 if ended else 7)

    def write_line(self, reply: Chain, unique: bool) -> None:
        if unique:
            reply.write(self.first(self.header - 2) + b" %d\r\n" % self.unique)
            self.write_to(reply, True)
        else:
            append_record(reply, self, 0, 5)


ITEM_BYTES = -(-Item.__basicsize__ // 16) * 16


@cython.cclass
class Ring(Item):
    def __init__(self) -> None:
        self.size = 0
        self.tallies = [Tally(self) for _ in range(CLASSES + 1)]
        self.older = self.newer = self

    def oldest(self) -> Item | None:
        return None if self.newer is self else self.newer


@cython.cclass
class Tally:
    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        self.count = self.counted = 0
        self.reset()

    def reset(self) -> None:
        self.hits = self.sets = self.left = self.stayed = 0
        self.evicted = self.evicted_unfetched = self.evicted_active = self.evicted_nonzero = self.evicted_time = 0


class Maker:
    def __init__(self, beside: int) -> None:
        self.beside = beside
        self.tails: list[bytes | None] = [None] * (JOINED + 1)
        self.ending = Chain()
        self.ending.write(END)
        self.line_end = Chain()
        self.line_end.write(CRLF)

    def make(self, key: bytes, flags: int, expires: int, data: Chain) -> Item | None:
        length = data.length - 2
        tail = self._tail(flags, length)
        item = Item.__new__(Item)
        if length <= JOINED:
            if not item.lay_out(VALUE, key, tail, data, END):
                return None
            pinned = item.pinned()
            item.size = 0
        else:
            item.rest = rest = Chain()
            if not item.lay_out(VALUE, key, tail, rest, b""):
                return None
            rest.append(data)
            pinned = item.pinned()
            rest.append_clone(self.ending)  # in a slot that all items share
            item.size = CHAIN_BYTES + VIEW_BYTES * rest.count
        item.size += ITEM_BYTES + SLOT_BYTES + pinned + (pinned >> UNIT_SHIFT)
        item.flags = flags
        item.expires = expires
        item.header = len(VALUE) + len(key) + len(tail)
        item.fetched = item.active = item.binary = item.stale = item.won = False
        counted = length + len(key) + self.beside + (4 if flags != 0 else 0)
        item.counted = counted
        item.slab_class = slab_class(counted)
        return item

    def _tail(self, flags: int, length: int) -> bytes:
        """The end of the reply's first line."""
        if flags != 0 or length > JOINED:
            return b" %d %d\r\n" % (flags, length)
        tail = self.tails[length]
        if tail is None:
            tail = self.tails[length] = b" 0 %d\r\n" % length
        return tail

    def clear(self) -> None:
        for chain in (self.ending, self.line_end):
            chain.clear()
