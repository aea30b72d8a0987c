"""The item store: a table, a ring of items from the oldest to the newest, and the memory that they take."""

import cython

from netapp.ebb.core import EbbError, Representative
from netapp.iobuf.chain import Chain
from netapp.iobuf.keys import KeyTable

# What -m counts of an item, beside the key and the value: the Item, the head of its key's bytes, and its entry in the
# table, which is at least a quarter full. Of a small reply the head of the bytes, of a large one the Chain, and the
# pool's own record of a view and its slot.
ITEM_BYTES = 256
SMALL_BYTES = 40
CHAIN_BYTES = 112
VIEW_BYTES = 104

SMALL = 256  # a value up to this is copied into the reply
JOINED = 1024  # up to this the head of the reply shares a slot with the data
EVICT_AT_ONCE = 16  # items, when the pool is exhausted although -m is not reached: its slots are of other sizes

SECOND_CHANCES = 50  # used items passed over at an eviction, at most: it must not hold the loop up

VALUE, END = b"VALUE ", b"END\r\n"


@cython.no_gc
@cython.freelist(64)
@cython.cclass
class Item:
    key: bytes
    flags: int
    expires: int
    stored: int
    unique: int
    size: int
    header: int
    fetched: bool
    used: bool  # since it was last at the old end
    small: bytes | None
    views: Chain  # None where `small` is used
    older: "Item"  # None, as the next, where the item is not in the store
    newer: "Item"

    def value(self) -> bytes:
        whole = self.small if self.small is not None else self.views.tobytes()
        return whole[self.header : -7]


class Store(Representative):
    def __init__(self, limit: int, secret: bytes) -> None:
        """`limit`: bytes; `secret`: 16 random bytes, without which nobody can make the table slow."""
        self.limit = limit
        self.used = self.reserved = 0
        self.now = 62  # as memcached's clock begins: 0 means never
        self.items = KeyTable(secret)
        self.tails: list[bytes | None] = [None] * (JOINED + 1)
        self.ending = Chain()
        self.ending.write(END)
        self.scratch = Chain()
        self.ring = Item()
        self.ring.older = self.ring.newer = self.ring
        self.next_unique = 1
        self.flushed_at = self.flushed_unique = 0
        self.total_items = 0
        self.evictions = self.evicted_unfetched = self.expired_unfetched = self.reclaimed = 0
        self.get_expired = self.get_flushed = 0

    def __len__(self) -> int:
        return self.items.count

    def find(self, key: bytes) -> Item | None:
        item = self.items.get(key)
        return item if item is not None and self.alive(item) else None

    def alive(self, item: Item) -> bool:
        """Whether an item found in `items` counts as there; marks it as used, or removes it."""
        if (item.expires != 0 or self.flushed_at != 0) and self._gone(item):
            if item.expires != 0 and item.expires <= self.now:
                self.get_expired += 1
                self.expired_unfetched += not item.fetched
            else:
                self.get_flushed += 1
            self.remove(item)
            return False
        item.fetched = True
        item.used = True
        return True

    def put(self, key: bytes, flags: int, expires: int, data: Chain) -> Item:
        item = self._made(key, flags, expires, data)
        old = self.items.put(key, item)
        if old is not None:
            self._unlink(old)
            item.key = old.key  # which the table keeps
        if not self._room(item.size):
            self.items.pop(key)
            raise MemoryError("-m is smaller than this item")
        item.unique = self.next_unique
        self.next_unique += 1
        self.used += item.size
        self.total_items += 1
        old = self.ring.older
        old.newer = item
        item.older = old
        item.newer = self.ring
        self.ring.older = item
        return item

    def _made(self, key: bytes, flags: int, expires: int, data: Chain) -> Item:
        length = data.length - 2
        tail = self._tail(flags, length)
        item = Item.__new__(Item)
        item.key = key
        item.flags = flags
        item.expires = expires
        item.stored = self.now
        item.header = len(VALUE) + len(key) + len(tail)
        item.fetched = item.used = False
        item.size = ITEM_BYTES + len(key)
        if length <= SMALL:
            whole = self.scratch
            if whole.length != 0:  # of an event that an exception ended
                whole.discard(whole.length)
        else:
            whole = Chain.__new__(Chain)
            while not whole.reserve(item.header + (length + 2 + len(END) if length <= JOINED else 0)):
                self._make_way()
        whole.write(VALUE)
        whole.write(key)
        whole.write(tail)
        if length > JOINED:
            whole.append(self.kept(data))
            pinned = whole.pinned()
            whole.append_clone(self.ending)  # in a slot that all items share
        else:
            whole.write_copy(data)
            whole.write(END)
            pinned = whole.pinned()
            if length <= SMALL:
                item.small = whole.tobytes()
                item.views = None  # type: ignore[assignment]
                item.size += SMALL_BYTES + whole.length
                whole.discard(whole.length)
                return item
        item.small = None
        item.views = whole
        item.size += CHAIN_BYTES + pinned + VIEW_BYTES * item.views.count
        return item

    def _tail(self, flags: int, length: int) -> bytes:
        """The end of the reply's first line."""
        if flags != 0 or length > JOINED:
            return b" %d %d\r\n" % (flags, length)
        tail = self.tails[length]
        if tail is None:
            tail = self.tails[length] = b" 0 %d\r\n" % length
        return tail

    def kept(self, data: Chain) -> Chain:
        while True:
            try:
                return data.stored()
            except MemoryError:
                self._make_way()

    def _make_way(self) -> None:
        if not self._evict():
            raise MemoryError("the buffer pool has no slot for the item, and no item is left to evict")
        for _ in range(EVICT_AT_ONCE - 1):
            self._evict()

    def remove(self, item: Item) -> None:
        self._unlink(item)
        self.items.pop(item.key)

    def _unlink(self, item: Item) -> None:
        """Out of the ring; the references that it holds into it go, for the collector is off."""
        item.older.newer = item.newer
        item.newer.older = item.older
        item.older = item.newer = None  # type: ignore[assignment]
        self.used -= item.size

    def _gone(self, item: Item) -> bool:
        if item.expires != 0 and item.expires <= self.now:
            return True
        if self.flushed_at == 0 or self.flushed_at > self.now:
            return False
        return item.stored <= self.flushed_at or item.unique < self.flushed_unique

    def _evict(self) -> bool:
        """Gives the memory of the oldest item back that was not used lately; False: there is none."""
        ring = self.ring
        oldest = ring.newer
        # Those that were used since they came to the end get another round (the clock algorithm): a look-up only marks,
        # which costs less than moving the item in the list every time.
        rounds = SECOND_CHANCES
        while oldest is not ring and oldest.used and rounds != 0:
            rounds -= 1
            oldest.used = False
            ring.newer = oldest.newer
            oldest.newer.older = ring
            oldest.older = ring.older
            oldest.newer = ring
            ring.older.newer = oldest
            ring.older = oldest
            oldest = ring.newer
        if oldest is ring:
            return False
        if self._gone(oldest):
            self.reclaimed += 1
        else:
            self.evictions += 1
            self.evicted_unfetched += not oldest.fetched
        self.remove(oldest)
        return True

    def _room(self, size: int) -> bool:
        if size > self.limit - self.reserved:
            return False
        while self.used > self.limit - self.reserved - size:
            self._evict()
        return True

    def reserve(self, size: int) -> bool:
        """Room for a value whose first bytes have arrived: release() gives it back before put() takes it."""
        if not self._room(size):
            return False
        self.reserved += size
        return True

    def release(self, size: int) -> None:
        self.reserved -= size

    def flush(self, when: int) -> None:
        """Items stored before `when` are gone from then on; memcached's arithmetic, which looks two seconds back."""
        self.flushed_at = when - 2
        if self.flushed_at <= self.now:
            self.flushed_unique = self.next_unique
            self.next_unique += 1
        else:
            self.flushed_unique = 0

    def reset_counters(self) -> None:
        self.total_items = 0
        self.evictions = self.evicted_unfetched = self.expired_unfetched = self.reclaimed = 0
        self.get_expired = self.get_flushed = 0

    def may_be_replaced(self, new: object) -> None:
        if not isinstance(new, Store):
            raise EbbError(f"{type(new).__name__} cannot take over from {type(self).__name__}: it is no Store")

    def take_over(self, old: object) -> None:
        """The items in their order, and the counters. A smaller limit evicts with the next item that is stored."""
        assert isinstance(old, Store)
        before = old
        self.used, self.reserved, self.now = before.used, before.reserved, before.now
        self.items, self.ring, self.tails = before.items, before.ring, before.tails
        self.next_unique = before.next_unique
        self.flushed_at, self.flushed_unique = before.flushed_at, before.flushed_unique
        self.total_items, self.evictions, self.reclaimed = before.total_items, before.evictions, before.reclaimed
        self.evicted_unfetched, self.expired_unfetched = before.evicted_unfetched, before.expired_unfetched
        self.get_expired, self.get_flushed = before.get_expired, before.get_flushed

    def replaced(self, new: object) -> None:
        self.items = KeyTable(bytes(16))
        self.ring = Item()
        self.ring.older = self.ring.newer = self.ring
        self.destroy()

    def destroy(self) -> None:
        while self.ring.newer is not self.ring:
            self.remove(self.ring.newer)
        self.ring.older = self.ring.newer = None  # type: ignore[assignment]
        self.ending.clear()
        self.scratch.clear()
