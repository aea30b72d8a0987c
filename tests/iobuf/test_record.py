"""Records: texts with their keys in them, sent by reference or, where that is short, as copies."""

import pytest

from netapp.iobuf.chain import Chain
from netapp.iobuf.keys import KeyTable
from netapp.iobuf.record import Record, append_record
from tests.support.pools import core_with_pool

PARTS = (b"VALUE ", b"a key", b" 0 ", b"END\r\n")


def laid_out(data: Chain, rest: Chain | None = None) -> Record:
    before, key, behind, end = PARTS
    record = Record()
    assert record.lay_out(before, key, behind, data, end)
    if rest is not None:
        record.rest = rest
    return record


@pytest.mark.parametrize("size, rest_size", [(0, None), (100, None), (1000, None), (0, 3000), (1000, 5), (4077, 300)])
def test_each_part_of_it_is_what_was_laid_out(size, rest_size):
    text = b"VALUE a key 0 " + bytes(i % 251 for i in range(size)) + b"END\r\n"
    with core_with_pool() as core:
        rest = None if rest_size is None else Chain(b"r" * rest_size)
        record = laid_out(Chain(text[14:-5]), rest)
        assert (record.key, record.first(6)) == (b"a key", b"VALUE ")
        text += b"r" * (rest_size or 0)
        assert record.total() == len(text)
        for start in (0, 1, 10, 14, 19, len(text)):
            for behind in (0, 1, 5, 290, len(text)):
                if start + behind > len(text):
                    with pytest.raises(ValueError):
                        append_record(Chain(), record, start, behind)
                    continue
                reply = Chain(b"before ")
                before = sum(core.pool.copied().values())
                append_record(reply, record, start, behind)
                copied = sum(core.pool.copied().values()) - before
                length = len(text) - start - behind
                assert bytes(reply) == b"before " + text[start : len(text) - behind]
                assert all(map(len, reply))
                assert copied == (length if rest is None and length <= 256 else 0)
                del reply
        del record, rest
        assert core.pool.live_slots() == 0


def test_it_lies_in_the_smallest_slot_and_in_none_when_it_has_gone():
    with core_with_pool() as core:
        record = laid_out(Chain(b"x" * 600))
        assert record.pinned() == 680 == core.pool.pinned()["store"]
        reply = Chain()
        append_record(reply, record, 0, 0)
        del record
        assert core.pool.pinned()["store"] == 680 and len(bytes(reply)) == 619
        del reply
        assert core.pool.pinned()["store"] == 0


def test_a_table_finds_it_by_the_key_in_its_text():
    with core_with_pool():
        table = KeyTable(bytes(16))
        first, second = laid_out(Chain()), laid_out(Chain(b"second"))
        assert table.put(first) is None and table.get(b"a key") is first
        assert table.put(second) is first
        del first
        assert table.get(b"a key") is second and table.get(b"a kez") is None
        table.clear()
        del second


def test_what_cannot_be_laid_out_is_refused():
    with core_with_pool() as core:
        record = Record()
        with pytest.raises(TypeError):
            KeyTable(bytes(16)).put(record)
        with pytest.raises(TypeError):
            append_record(Chain(), record, 0, 0)
        with pytest.raises(ValueError):
            record.lay_out(b"", b"k", b"", Chain(bytes(4096)), b"")
        held = []
        while record.lay_out(b"", b"k", b"", Chain(), b""):
            held.append(record)
            record = Record()
        assert core.pool.counters()["refused_reserve"] == 1
        with pytest.raises(ValueError):
            held[0].lay_out(b"", b"k", b"", Chain(), b"")
        del held, record
