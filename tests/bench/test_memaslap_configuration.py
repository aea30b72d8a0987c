"""memaslap's configuration file."""

import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.memaslap.configuration import UNIT, BadConfiguration, Configuration, Range, lengths, mean, parse, read

GOOD = "key\n16 100 0.8\n101 250 0.2\nvalue\n100 1024 1\ncmd\n0 0.25\n1 0.75\n"


def test_sections_come_in_any_order_with_comments_and_blank_lines() -> None:
    expected = Configuration((Range(16, 100, 0.8), Range(101, 250, 0.2)), (Range(100, 1024, 1),), 0.25, 0.75)
    assert parse(GOOD) == expected
    assert parse(
        "# mix\ncmd # 0: set\n\n1 0.75\n\t0 0.25\nvalue\n100\t1024 1 # bytes\nkey\n16 100 .8\n101 250 2e-1"
    ) == (expected)


def test_the_sample_of_memaslaps_manual_is_read() -> None:
    found = parse("key\n128 128 1\nvalue\n2048 2048 1\ncmd\n0    0.1\n1.0 0.9\n")
    assert (found.set, found.get) == (0.1, 0.9)


def test_without_a_file_keys_are_64_values_1024_bytes_and_gets_nine_of_ten() -> None:
    assert parse("key\n64 64 1\nvalue\n1024 1024 1\ncmd\n0 0.1\n1 0.9\n") == Configuration()


def test_parts_with_three_decimal_places_are_enough() -> None:
    assert len(parse(GOOD.replace("100 1024 1", "1 2 0.333\n3 4 0.333\n5 6 0.333")).values) == 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("16 100 0.8", "15 100 0.8", "line 2: lengths are from 16 to 250 bytes, not 15 to 100"),
        ("101 250 0.2", "101 251 0.2", "line 3: lengths are from 16 to 250 bytes, not 101 to 251"),
        ("100 1024 1", "0 1024 1", "line 5: lengths are from 1 to 1048576 bytes, not 0 to 1024"),
        ("100 1024 1", "100 1048577 1", "line 5: lengths are from 1 to 1048576 bytes, not 100 to 1048577"),
        ("100 1024 1", "1024 100 1", "line 5: '1024 100 1' is not: least bytes, most bytes, part of 1"),
        ("100 1024 1", "100 1024", "line 5: '100 1024' is not: least bytes, most bytes, part of 1"),
        ("100 1024 1", "100 1024 1 1", "line 5: '100 1024 1 1' is not: least bytes, most bytes, part of 1"),
        ("100 1024 1", "100 1024 nan", "line 5: '100 1024 nan' is not: least bytes, most bytes, part of 1"),
        ("100 1024 1", "100 1024 0.5", "the parts of value make 0.5 together, not 1"),
        ("0 0.25", "0 0.5", "the parts of cmd make 1.25 together, not 1"),
        ("0 0.25", "2 0.25", "line 7: '2 0.25' is not: 0 (set) or 1 (get), part of 1"),
        ("0 0.25", "x 0.25", "line 7: 'x 0.25' is not: 0 (set) or 1 (get), part of 1"),
        ("0 0.25", "1 0.25", "line 8: command 1 stands there twice"),
        ("key\n", "", "line 1: a section must come first: key, value or cmd"),
        ("value\n100 1024 1\n", "", "there is no section value, or nothing in it"),
        ("cmd\n0 0.25\n1 0.75\n", "cmd\n", "there is no section cmd, or nothing in it"),
        (GOOD, "", "there is no section key, or nothing in it"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(old: str, new: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "conf"
    file.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(BadConfiguration) as raised:
        read(file)
    assert str(raised.value) == f"{file}: {message}"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match="none: No such file or directory"):
        read(tmp_path / "none")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\0")
    with pytest.raises(BadConfiguration, match="bytes: this is no text"):
        read(tmp_path / "bytes")


@given(st.binary(max_size=200) | st.text("key value cmd0123456789.#\n -", max_size=120).map(str.encode))
def test_garbage_is_refused_with_a_message_or_makes_sense(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    file = tmp_path_factory.mktemp("conf") / "conf"
    file.write_bytes(data)
    try:
        found = read(file)
    except BadConfiguration as error:
        assert "\n" not in str(error)
    else:
        assert abs(found.get + found.set - 1) < 0.01


@given(st.lists(st.tuples(st.integers(1, 5000), st.integers(0, 5000), st.integers(1, 50)), min_size=1, max_size=6))
def test_in_each_unit_of_a_window_ranges_have_their_parts(drawn: list[tuple[int, int, int]]) -> None:
    total = sum(weight for _, _, weight in drawn)
    ranges, at = [], 0
    for least, width, weight in drawn:  # apart from each other, so that they can be told
        ranges.append(Range(at + least, at + least + width, weight / total))
        at = ranges[-1].most
    found = lengths(ranges, 2 * UNIT + 100, random.Random(1))
    assert len(found) == 2 * UNIT + 100
    for unit in (found[:UNIT], found[UNIT : 2 * UNIT]):
        counts = Counter(next(i for i, r in enumerate(ranges) if r.least <= length <= r.most) for length in unit)
        for i, r in enumerate(ranges):
            assert abs(counts[i] - UNIT * r.part) <= 1


def test_lengths_are_even_within_a_range_and_reach_both_ends() -> None:
    found = lengths([Range(10, 12, 1)], 30 * UNIT, random.Random(1))
    assert set(found) == {10, 11, 12}
    assert sum(found) / len(found) == pytest.approx(mean([Range(10, 12, 1)]), rel=0.01)
