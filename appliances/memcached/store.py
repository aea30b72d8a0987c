"""The item store: what commands do to items, whatever the protocol."""

from appliances.memcached import words
from appliances.memcached.item import Item, Maker
from appliances.memcached.memory import Memory
from appliances.memcached.words import ADD, APPEND, CAS, EXISTS, JOINED, NO_MEMORY, NOT_FOUND, NOT_STORED, SET, STORED
from netapp.iobuf.chain import Chain

CHUNKED = 512 << 10  # bytes above which memcached's items lie in pieces, which it does not count in


class Store(Memory):
    def __init__(self, limit: int, secret: bytes, max_item: int = 1 << 20, numbers: bool = True) -> None:
        """`limit`: bytes; `secret`: 16 random bytes, without which nobody can make the table slow."""
        beside = words.BESIDE if numbers else words.BESIDE - 8
        Memory.__init__(self, limit, secret, beside)
        self.max_item, self.largest, self.numbers = max_item, max_item - beside, numbers
        self.maker = Maker(beside)
        self.next_unique = 1
        self.number = 0

    def fits(self, key: bytes, flags: int, length: int) -> bool:
        return length + len(key) + (4 if flags != 0 else 0) <= self.largest

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
                if (unique == 0 or unique != old.unique) and not stale:
                    self.count("cas_badval", old)
                    return EXISTS
                if stale:
                    expires, won = old.expires, old.won
                else:
                    self.count("cas_hits", old)
            elif mode != ADD:
                if old is None:
                    return NOT_STORED
                if mode >= APPEND:
                    if unique != 0 and unique != old.unique and self.numbers:
                        return EXISTS
                    flags, expires = old.flags, old.expires
                    if not self.fits(key, flags, old.length() + data.length - 2):
                        return NOT_STORED
                    data = self._joined(mode, old, data)
        try:
            item = self.put(key, flags, expires, data)
        except MemoryError:
            return NO_MEMORY
        if mode < APPEND:
            item.tally.sets += 1
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

    def delta(self, key: bytes, up: bool, by: int, unique: int, initial: int | None, expires: int) -> int:
        old = self.find(key)
        if old is None:
            if initial is None:
                self.count("incr_misses" if up else "decr_misses")
                return NOT_FOUND
            self.number = initial
            try:
                self.put(key, 0, expires, Chain(b"%d\r\n" % initial))
            except MemoryError:
                return NOT_STORED
            return words.CREATED
        value = old.value() if old.counted <= CHUNKED else b""
        if value and unique != 0 and unique != old.unique:
            return EXISTS
        number = words.unsigned_number(value)
        if number is None:
            return words.NOT_A_NUMBER
        self.count("incr_hits" if up else "decr_hits", old)
        self.number = (number + by) % 2**64 if up else max(number - by, 0)
        digits = b"%d" % self.number
        try:
            # As memcached's, which writes over the old digits, the value does not get shorter.
            item = self.put(key, old.flags, old.expires, Chain(digits.ljust(len(value)) + words.CRLF))
        except MemoryError:
            return NO_MEMORY
        if len(digits) <= len(value):
            item.fetched, item.active = old.fetched, old.active
            item.binary, item.stale, item.won = old.binary, old.stale, old.won
            self.total_items -= 1
        return STORED

    def touch(self, key: bytes, expires: int) -> Item | None:
        item = self.find(key)
        self.count("cmd_touch")
        if item is None:
            self.count("touch_misses")
            return None
        self.count("touch_hits", item)
        self.use(item)
        item.expires = expires
        return item

    def delete(self, key: bytes, unique: int) -> int:
        item = self.find(key)
        if item is None:
            self.count("delete_misses")
            return NOT_FOUND
        if unique != 0 and unique != item.unique:
            return EXISTS
        self.count("delete_hits", item)
        self.remove(item)
        return STORED

    def put(self, key: bytes, flags: int, expires: int, data: Chain) -> Item:
        if data.length > JOINED + 2:
            data = self.kept(data)
        while (item := self.maker.make(key, flags, expires, data)) is None:
            self.make_way()
        if self.items.count >= self.items.most:
            self.before_growth()
        old = self.items.put(item)
        if old is not None:
            self.leave(old)
        if not self.room(item.size):
            if old is None:
                self.items.remove(item)
            else:
                self.items.put(old)
                self.enter(old)
            raise MemoryError("-m is smaller than this item")
        item.unique = self.next_unique if self.numbers else 0
        self.next_unique += 1
        self.total_items += 1
        self.enter(item)
        return item

    def refuse(self, why: str, mode: int, key: bytes) -> None:
        self.count(why)
        item = self.find(key) if mode == SET else None
        if item is not None:
            self.remove(item)

    def number_again(self, item: Item) -> None:
        item.unique = self.next_unique if self.numbers else 0
        self.next_unique += 1

    def flush(self, when: int) -> None:
        """Items stored before `when` are gone from then on. With memcached's arithmetic: the second before is the last
        that is looked at, and uniques tell what came in this one; without uniques, what comes in it is gone, too."""
        self.flushed_at = when - 1 if self.numbers else when
        self.flushed_unique = 0
        if self.numbers and self.flushed_at <= self.now:
            self.flushed_unique = self.next_unique
            self.next_unique += 1

    def reset_counters(self) -> None:
        Memory.reset_counters(self)
        self.total_items = 0

    def take_over(self, old: object) -> None:
        assert isinstance(old, Store)
        Memory.take_over(self, old)
        before = old
        self.next_unique, self.total_items = before.next_unique, before.total_items

    def destroy(self) -> None:
        Memory.destroy(self)
        self.maker.clear()
