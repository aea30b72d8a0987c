"""Items in a table, and in the rings of a segmented LRU as memcached's, within a limit of bytes."""

from appliances.memcached.item import Item, Ring
from netapp.ebb.core import Representative
from netapp.iobuf.keys import KeyTable

SECOND_CHANCES = 50  # used items passed over at an eviction, at most: it must not hold the loop up
BALANCED = 5  # items that a new one moves from hot and warm to where they belong, at most


class Memory(Representative):
    def __init__(self, limit: int, secret: bytes) -> None:
        """`limit`: bytes; `secret`: 16 random bytes, without which nobody can make the table slow."""
        self.limit = limit
        self.evicts = True
        self.used = self.reserved = 0
        self.now = 62  # as memcached's clock begins: 0 means never
        self.items = KeyTable(secret)
        self.hot, self.warm, self.cold = Ring(), Ring(), Ring()
        self.hot_percent, self.warm_percent = 20, 40
        self.mark: Item | None = None
        self.last: Item | None = None
        self.flushed_at = self.flushed_unique = 0
        self.counts: dict[str, int] = {}
        self.evictions = 0

    def __len__(self) -> int:
        return self.items.count

    def count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1

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
        self._mark(item)
        return True

    def use(self, item: Item) -> None:
        self._mark(item)

    def _mark(self, item: Item) -> None:
        # A use only marks the item, which moves when it is the oldest of its ring: moving it each time costs more.
        item.ring.hits += 1
        if not item.active:
            if item.fetched:
                item.active = True
                item.time = self.now
            item.fetched = True

    def find(self, key: bytes) -> Item | None:
        item = self.items.get(key)
        return None if item is None or self._dead(item) else item

    def _link(self, item: Item, ring: Ring) -> None:
        newest = ring.older
        newest.newer = item
        item.older = newest
        item.newer = ring
        ring.older = item
        item.ring = ring
        ring.size += item.size
        ring.count += 1

    def _unlink(self, item: Item) -> None:
        """The references that it holds into the ring go, for the collector is off."""
        ring = item.ring
        ring.size -= item.size
        ring.count -= 1
        item.older.newer = item.newer
        item.newer.older = item.older
        item.older = item.newer = item.ring = None  # type: ignore[assignment]

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
        self.items.pop(item.key)

    # --- room ----------------------------------------------------------------------------------------------------

    def _move(self, item: Item, to: Ring) -> None:
        ring = item.ring
        if ring is to:
            ring.stayed += 1
        else:
            ring.left += 1
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
        oldest = self.cold.oldest()
        rounds = SECOND_CHANCES
        while oldest is not None and oldest.active and rounds != 0:
            rounds -= 1
            self._move(oldest, self.warm)
            oldest = self.cold.oldest()
        if oldest is None:
            # Few and large items: hot and warm have their shares, and cold has nothing.
            oldest = self.hot.oldest() or self.warm.oldest()
            if oldest is None:
                return False
        if self.gone(oldest):
            self.count("reclaimed")
            if not oldest.fetched:
                self.count("expired_unfetched")
        else:
            self.evictions += 1
            if not oldest.fetched:
                self.count("evicted_unfetched")
            if oldest.active:
                self.count("evicted_active")
        self.remove(oldest)
        return True

    def room(self, size: int) -> bool:
        if size > self.limit or self.reserved > self.limit - size:
            return False
        while self.used > self.limit - self.reserved - size:
            if not self.evicts:
                return False
            self.evict()
        return True

    def reserve(self, size: int) -> bool:
        """For a value whose first bytes have arrived: release() gives it back before the item takes it."""
        if not self.room(size):
            return False
        self.reserved += size
        return True

    def release(self, size: int) -> None:
        self.reserved -= size

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
                if self.gone(item):
                    self.count("crawler_reclaimed")
                    if not item.fetched:
                        self.count("expired_unfetched")
                    self.remove(item)
                item = self.mark
        self.mark = item
        return True
