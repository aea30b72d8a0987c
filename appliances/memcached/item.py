"""What the store keeps of a key, and how it is laid out."""

import cython

from appliances.memcached.classes import CLASSES, slab_class
from appliances.memcached.words import CRLF, END, JOINED
from netapp.iobuf.chain import Chain

# What -m counts of an item beside the bytes of its key and its value. Python's memory comes in steps of 16 bytes.
BYTES_HEAD = 48  # of a `bytes` object 33, and 15 to round up
CHAIN_BYTES = 96
VIEW_BYTES = 96  # of the pool's records of a view and its slot
UNIT_SHIFT = 6  # a unit of the pool has a record, too: 64 bytes of 4096

SMALL = 256  # a value up to this is copied into the reply

VALUE = b"VALUE "


@cython.no_gc
@cython.freelist(64)
@cython.cclass
class Item:
    key: bytes
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
    small: bytes | None
    views: Chain  # None where `small` is used
    tally: "Tally"
    older: "Item"
    newer: "Item"

    def length(self) -> int:
        return (len(self.small) if self.small is not None else self.views.length) - self.header - 7

    def value(self) -> bytes:
        whole = self.small if self.small is not None else self.views.tobytes()
        return whole[self.header : -7]

    def data(self, ended: bool) -> Chain:
        whole = Chain()
        self.write_to(whole, ended)
        return whole

    def write_to(self, reply: Chain, ended: bool) -> None:
        behind = 5 if ended else 7
        if self.small is not None:
            reply.write(self.small[self.header : -behind])
            return
        views = self.views.clone()
        views.discard(self.header)
        views.drop_tail(behind)
        reply.append(views)

    def write_line(self, reply: Chain, unique: bool) -> None:
        if unique:
            head = self.small if self.small is not None else self.views.clone().split(self.header).tobytes()
            reply.write(head[: self.header - 2] + b" %d\r\n" % self.unique)
            self.write_to(reply, True)
        elif self.small is not None:
            reply.write(self.small[:-5])
        else:
            views = self.views.clone()
            views.drop_tail(5)
            reply.append(views)


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
        self.scratch = Chain()
        self.ending = Chain()
        self.ending.write(END)
        self.line_end = Chain()
        self.line_end.write(CRLF)

    def make(self, key: bytes, flags: int, expires: int, data: Chain) -> Item | None:
        length = data.length - 2
        tail = self._tail(flags, length)
        item = Item.__new__(Item)
        item.key = key
        item.flags = flags
        item.expires = expires
        item.header = len(VALUE) + len(key) + len(tail)
        item.fetched = item.active = item.binary = item.stale = item.won = False
        item.size = ITEM_BYTES + ((BYTES_HEAD + len(key)) & -16)
        counted = length + len(key) + self.beside + (4 if flags != 0 else 0)
        item.counted = counted
        item.slab_class = slab_class(counted)
        if length <= SMALL:
            whole = self.scratch
            if whole.length != 0:  # of an event that an exception ended
                whole.discard(whole.length)
        else:
            whole = Chain.__new__(Chain)
            if not whole.reserve(item.header + (length + 2 + len(END) if length <= JOINED else 0)):
                return None
        whole.write(VALUE)
        whole.write(key)
        whole.write(tail)
        if length > JOINED:
            whole.append(data)
            pinned = whole.pinned()
            whole.append_clone(self.ending)  # in a slot that all items share
        else:
            whole.write_copy(data)
            whole.write(END)
            pinned = whole.pinned()
            if length <= SMALL:
                item.small = whole.tobytes()
                item.views = None  # type: ignore[assignment]
                item.size += (BYTES_HEAD + whole.length) & -16
                whole.discard(whole.length)
                return item
        item.small = None
        item.views = whole
        item.size += CHAIN_BYTES + pinned + (pinned >> UNIT_SHIFT) + VIEW_BYTES * item.views.count
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
        for chain in (self.scratch, self.ending, self.line_end):
            chain.clear()
