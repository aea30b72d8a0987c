"""Items in a table, and in the rings of a segmented LRU as memcached's, within a limit of bytes."""

import cython

from appliances.memcached.classes import CLASSES, slab_class
from appliances.memcached.item import Item, Ring
from netapp.ebb.core import EbbError, Representative
from netapp.iobuf.chain import Chain
from netapp.iobuf.keys import KeyTable

SECOND_CHANCES = 50  # used items passed over at an eviction, at most: it must not hold the loop up
CAUGHT_UP = 4  # items evicted for a table that moves, with each that is stored, at most
BALANCED = 5  # items that a new one moves from hot and warm to where they belong, at most
EVICT_AT_ONCE = 16  # items, when the pool is exhausted although -m is not reached: its slots are of other sizes


class Memory(Representative):
    def __init__(self, limit: int, secret: bytes, beside: int) -> None:
        self.limit = limit
        self.beside = beside
        self.evicts = True
        self.used = self.reserved = 0
        self.now = 62  # as memcached's clock begins: 0 means never
        self.items = KeyTable(secret)
        self.hot, self.warm, self.cold = Ring(), Ring(), Ring()
        self.hot_percent, self.warm_percent = 20, 40
        self.mark: Item | None = None
        self.last: Item | None = None
        self.flushed_at = self.flushed_unique = 0
        self.reset_counters()

    def __len__(self) -> int:
        return self.items.count

    @property
    def evictions(self) -> int:
        return sum(tally.evicted for ring in (self.hot, self.warm, self.cold) for tally in ring.tallies)

    def count(self, name: str, item: Item | None = None) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1
        if item is not None:
            counts = self.counts_of_class[item.slab_class]
            counts[name] = counts.get(name, 0) + 1

    def reset_counters(self) -> None:
        self.counts: dict[str, int] = {}
        self.counts_of_class: list[dict[str, int]] = [{} for _ in range(CLASSES + 1)]
        for ring in (self.hot, self.warm, self.cold):
            for tally in ring.tallies:
                tally.reset()

    # --- what is there -------------------------------------------------------------------------------------------

    def flushed(self, item: Item) -> bool:
        if self.flushed_at == 0 or self.flushed_at > self.now:
            return False
        return item.time <= self.flushed_at or item.unique < self.flushed_unique

    def gone(self, item: Item) -> bool:
        return (item.expires != 0 and item.expires <= self.now) or self.flushed(item)

    def _dead(self, item: Item) -> bool:
        """Removes it, if it is."""
        if not self.gone(item):
            return False
        self.count("get_flushed" if self.flushed(item) else "get_expired")
        self.remove(item)
        return True

    def fetch(self, item: Item) -> bool:
        if (item.expires != 0 or self.flushed_at != 0) and self._dead(item):
            return False
        item.tally.hits += 1
        self._use(item)
        return True

    def hit(self, item: Item) -> None:
        item.tally.hits += 1

    def use(self, item: Item) -> None:
        self._use(item)

    def _use(self, item: Item) -> None:
        # A use only marks the item, which moves when it is the oldest of its ring: moving it each time costs more.
        if not item.active:
            if item.fetched:
                item.active = True
                item.time = self.now
            item.fetched = True

    def attempt(self, key: bytes, flags: int, length: int) -> None:
        tally = self.hot.tallies[slab_class(length + len(key) + self.beside + (4 if flags != 0 else 0))]
        tally.sets += 1

    def find(self, key: bytes) -> Item | None:
        item = self.items.get(key)
        return None if item is None or self._dead(item) else item

    @cython.boundscheck(False)  # type: ignore[untyped-decorator]  # a ring has a tally for each class
    def _link(self, item: Item, ring: Ring) -> None:
        newest = ring.older
        newest.newer = item
        item.older = newest
        item.newer = ring
        ring.older = item
        ring.size += item.size
        tally = ring.tallies[item.slab_class]
        tally.count += 1
        tally.counted += item.counted
        item.tally = tally

    def _unlink(self, item: Item) -> None:
        """The references that it holds into the ring go, for the collector is off."""
        tally = item.tally
        tally.ring.size -= item.size
        tally.count -= 1
        tally.counted -= item.counted
        item.older.newer = item.newer
        item.newer.older = item.older
        item.older = item.newer = item.tally = None  # type: ignore[assignment]

    def enter(self, item: Item) -> None:
        item.time = self.now
        self.used += item.size
        self._link(item, self.hot)
        self.last = item

    def leave(self, item: Item) -> None:
        if item is self.mark:
            self.mark = item.newer
        if item is self.last:
            self.last = None
        self.used -= item.size
        self._unlink(item)

    def remove(self, item: Item) -> None:
        self.leave(item)
        self.items.remove(item)

    def _reclaim(self, item: Item, how: str) -> None:
        self.count(how, item)
        if not item.fetched:
            self.count("expired_unfetched", item)
        self.remove(item)

    # --- room ----------------------------------------------------------------------------------------------------

    def _move(self, item: Item, to: Ring) -> None:
        tally = item.tally
        if tally.ring is to:
            tally.stayed += 1
        else:
            tally.left += 1
        if item is self.mark:
            self.mark = item.newer
        self._unlink(item)
        item.active = False
        self._link(item, to)

    def _balance(self) -> None:
        """Hot and warm keep their shares: what was used since it came goes on as warm, the rest becomes cold. This is
        done a little with each eviction, for where there is room nobody asks."""
        steps = BALANCED
        while steps != 0 and self.hot.size * 100 > self.used * self.hot_percent:
            steps -= 1
            item = self.hot.newer
            self._move(item, self.warm if item.active else self.cold)
        while steps != 0 and self.warm.size * 100 > self.used * self.warm_percent:
            steps -= 1
            item = self.warm.newer
            self._move(item, self.warm if item.active else self.cold)

    def evict(self) -> bool:
        """The oldest cold item that was not used since it became so."""
        self._balance()
        rounds = SECOND_CHANCES
        while (oldest := self.cold.oldest()) is not None and oldest.active and rounds != 0:
            rounds -= 1
            self._move(oldest, self.warm)
        if oldest is None:
            # Few and large items: hot and warm have their shares, and cold has nothing.
            oldest = self.hot.oldest() or self.warm.oldest()
            if oldest is None:
                return False
        if self.gone(oldest):
            self._reclaim(oldest, "reclaimed")
            return True
        tally = oldest.tally
        tally.evicted += 1
        tally.evicted_time = self.now - oldest.time
        tally.evicted_nonzero += oldest.expires != 0
        tally.evicted_unfetched += not oldest.fetched
        tally.evicted_active += oldest.active
        self.remove(oldest)
        return True

    def room(self, size: int) -> bool:
        if self.used + self.items.memory + self.reserved + size <= self.limit:
            return True
        if size > self.limit or self.reserved > self.limit - size:
            return False
        used, steps = self.used, CAUGHT_UP
        while self.used + self.reserved + size + (self.items.memory if steps != 0 else 0) > self.limit:
            if not self.evicts:
                return False
            if not self.evict():
                break
            if steps != 0 and used - self.used >= size:
                steps -= 1
        return True

    def before_growth(self) -> None:
        """The table doubles with the next key, and the former array is there, too, until all have moved, while an
        eighth as many items may come. None is evicted for that: the table becomes fuller instead."""
        if self.used + (self.used >> 3) + 3 * self.items.memory + self.reserved > self.limit:
            self.items.crowd()

    def reserve(self, size: int) -> None:
        """For a value whose first bytes have arrived: release() gives it back before the item takes it."""
        if not self.room(size):
            raise MemoryError("-m is reached, and nothing is evicted")
        self.reserved += size

    def release(self, size: int) -> None:
        self.reserved -= size

    def kept(self, data: Chain) -> Chain:
        while True:
            try:
                return data.stored()
            except MemoryError:
                self.make_way()

    def make_way(self) -> None:
        if not self.evicts or not self.evict():
            raise MemoryError("the buffer pool has no slot for the item, and no item is left to evict")
        for _ in range(EVICT_AT_ONCE - 1):
            self.evict()

    def crawl(self, most: int) -> bool:
        if self.mark is None:
            self.mark = self.hot.newer
        item = self.mark
        for _ in range(most):
            if item is self.hot:
                item = self.warm.newer
            elif item is self.warm:
                item = self.cold.newer
            elif item is self.cold:
                self.mark = None
                return False
            else:
                self.mark = item.newer
                self.count("crawler_items_checked", item)
                if self.gone(item):
                    self._reclaim(item, "crawler_reclaimed")
                item = self.mark
        self.mark = item
        return True

    # --- another one takes over -------------------------------------------------------------------------------------

    def may_be_replaced(self, new: object) -> None:
        if not isinstance(new, Memory):
            raise EbbError(f"{type(new).__name__} cannot take over from {type(self).__name__}: it is no Store")

    def take_over(self, old: object) -> None:
        """The items in their order, and the counters. A smaller limit evicts with the next item that is stored."""
        assert isinstance(old, Memory)
        before = old
        self.used, self.reserved, self.now, self.evicts = before.used, before.reserved, before.now, before.evicts
        self.items, self.hot, self.warm, self.cold = before.items, before.hot, before.warm, before.cold
        self.hot_percent, self.warm_percent = before.hot_percent, before.warm_percent
        self.flushed_at, self.flushed_unique = before.flushed_at, before.flushed_unique
        self.counts, self.counts_of_class = before.counts, before.counts_of_class

    def replaced(self, new: object) -> None:
        self.items = KeyTable(bytes(16))
        self.hot, self.warm, self.cold = Ring(), Ring(), Ring()
        self.destroy()

    def destroy(self) -> None:
        self.last = self.mark = None
        for ring in (self.hot, self.warm, self.cold):
            while ring.newer is not ring:
                self.remove(ring.newer)
            ring.tallies.clear()
            ring.older = ring.newer = None  # type: ignore[assignment]
