"""The item store: what commands do to items, whatever the protocol."""

from appliances.memcached.item import Item, Maker, Ring
from appliances.memcached.memory import Memory
from appliances.memcached.words import (
    ADD,
    APPEND,
    BESIDE,
    CAS,
    CRLF,
    EXISTS,
    JOINED,
    NO_MEMORY,
    NOT_A_NUMBER,
    NOT_FOUND,
    NOT_STORED,
    REPLACE,
    SET,
    STORED,
    unsigned_number,
)
from netapp.ebb.core import EbbError
from netapp.iobuf.chain import Chain
from netapp.iobuf.keys import KeyTable

EVICT_AT_ONCE = 16  # items, when the pool is exhausted although -m is not reached: its slots are of other sizes


class Store(Memory):
    def __init__(self, limit: int, secret: bytes, max_item: int = 1 << 20) -> None:
        """`limit`: bytes; `secret`: 16 random bytes, without which nobody can make the table slow."""
        Memory.__init__(self, limit, secret)
        self.max_item = max_item
        self.maker = Maker()
        self.numbers = True
        self.next_unique = 1
        self.total_items = self.number = 0

    def fits(self, key: bytes, flags: int, length: int) -> bool:
        """Whether memcached would take it: its item has a header, the key with its end, flags if any, and the value."""
        return length + len(key) + BESIDE + (4 if flags != 0 else 0) <= self.max_item

    def store(self, mode: int, key: bytes, flags: int, expires: int, unique: int, stale: bool, data: Chain) -> int:
        won = False
        if mode != SET:
            old = self.find(key)
            if mode == ADD and old is not None:
                return NOT_STORED
            if mode == CAS:
                if old is None:
                    self.count("cas_misses")
                    return NOT_FOUND
                stale = stale and unique < old.unique
                if unique != old.unique and not stale:
                    self.count("cas_badval")
                    return EXISTS
                if stale:
                    expires, won = old.expires, old.won
                else:
                    self.count("cas_hits")
            elif mode != ADD:
                if old is None:
                    return NOT_STORED
                if mode != REPLACE:
                    if unique != 0 and unique != old.unique:
                        return EXISTS
                    flags, expires = old.flags, old.expires
                    if not self.fits(key, flags, old.length() + data.length - 2):
                        return NOT_STORED
                    data = self._joined(mode, old, data)
        try:
            item = self.put(key, flags, expires, data)
        except MemoryError:
            return NO_MEMORY
        if mode == CAS and stale:
            item.stale, item.won = True, won
        return STORED

    def _joined(self, mode: int, old: Item, data: Chain) -> Chain:
        if mode == APPEND:
            joined = old.data(False)
            joined.append(data)
            return joined
        data.drop_tail(2)
        data.append(old.data(True))
        return data

    def delta(self, key: bytes, up: bool, by: int, unique: int) -> int:
        old = self.find(key)
        if old is None:
            return NOT_FOUND
        value = old.value()
        if value and unique != 0 and unique != old.unique:
            return EXISTS
        number = unsigned_number(value)
        if number is None:
            return NOT_A_NUMBER
        self.number = (number + by) % 2**64 if up else max(number - by, 0)
        digits = b"%d" % self.number
        try:
            # As memcached's, which writes over the old digits, the value does not get shorter.
            item = self.put(key, old.flags, old.expires, Chain(digits.ljust(len(value)) + CRLF))
        except MemoryError:
            return NO_MEMORY
        if len(digits) <= len(value):
            item.fetched, item.active = old.fetched, old.active
            item.binary, item.stale, item.won = old.binary, old.stale, old.won
            self.total_items -= 1
        return STORED

    def put(self, key: bytes, flags: int, expires: int, data: Chain) -> Item:
        if data.length > JOINED + 2:
            data = self.kept(data)
        item = self.maker.make(key, flags, expires, data)
        while item is None:
            self._make_way()
            item = self.maker.make(key, flags, expires, data)
        old = self.items.put(key, item)
        if old is not None:
            self.leave(old)
            item.key = old.key  # which the table keeps
        if not self.room(item.size):
            if old is None:
                self.items.pop(key)
            else:
                self.items.put(key, old)
                self.enter(old)
            raise MemoryError("-m is smaller than this item")
        item.unique = 0
        if self.numbers:
            item.unique = self.next_unique
            self.next_unique += 1
        self.total_items += 1
        self.enter(item)
        return item

    def drop(self, key: bytes) -> None:
        item = self.find(key)
        if item is not None:
            self.remove(item)

    def number_again(self, item: Item) -> None:
        if self.numbers:
            item.unique = self.next_unique
            self.next_unique += 1
        else:
            item.unique = 0

    def flush(self, when: int) -> None:
        """Items stored before `when` are gone from then on; memcached's arithmetic, which looks two seconds back."""
        self.flushed_at = when - 2
        if self.flushed_at <= self.now:
            self.flushed_unique = self.next_unique
            self.next_unique += 1
        else:
            self.flushed_unique = 0

    def kept(self, data: Chain) -> Chain:
        while True:
            try:
                return data.stored()
            except MemoryError:
                self._make_way()

    def _make_way(self) -> None:
        if not self.evicts or not self.evict():
            raise MemoryError("the buffer pool has no slot for the item, and no item is left to evict")
        for _ in range(EVICT_AT_ONCE - 1):
            self.evict()

    def reset_counters(self) -> None:
        self.counts.clear()
        self.evictions = self.total_items = 0

    def may_be_replaced(self, new: object) -> None:
        if not isinstance(new, Store):
            raise EbbError(f"{type(new).__name__} cannot take over from {type(self).__name__}: it is no Store")

    def take_over(self, old: object) -> None:
        """The items in their order, and the counters. A smaller limit evicts with the next item that is stored."""
        assert isinstance(old, Store)
        before = old
        self.used, self.reserved, self.now = before.used, before.reserved, before.now
        self.items, self.hot, self.warm, self.cold = before.items, before.hot, before.warm, before.cold
        self.next_unique, self.numbers, self.evicts = before.next_unique, before.numbers, before.evicts
        self.flushed_at, self.flushed_unique = before.flushed_at, before.flushed_unique
        self.total_items, self.evictions, self.counts = before.total_items, before.evictions, before.counts

    def replaced(self, new: object) -> None:
        self.items = KeyTable(bytes(16))
        self.hot, self.warm, self.cold = Ring(), Ring(), Ring()
        self.counts = {}
        self.destroy()

    def destroy(self) -> None:
        self.last = self.mark = None
        for ring in (self.hot, self.warm, self.cold):
            while ring.newer is not ring:
                self.remove(ring.newer)
            ring.older = ring.newer = None  # type: ignore[assignment]
        self.maker.clear()
