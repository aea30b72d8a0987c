"""memcached's size classes, which its statistics and `me` speak of."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from appliances.memcached.item import Item

ITEM_HEADER = 56  # with the number of `cas`
PAGE = 1 << 20


def item_bytes(item: Item) -> int:
    """What memcached's item takes."""
    return ITEM_HEADER + len(item.key) + 1 + (4 if item.flags != 0 else 0) + item.length() + 2


def class_sizes(least: int = 48, factor: float = 1.25, largest: int = PAGE // 2) -> list[int]:
    """Of chunks, in bytes; classes are numbered from 1."""
    sizes: list[int] = []
    size = float(48 + least)
    while size < largest / factor and len(sizes) < 62:
        size += -size % 8
        sizes.append(int(size))
        size = int(size * factor)
    return [*sizes, largest]


_SIZES = class_sizes()


def slab_class(size: int) -> int:
    return min(bisect_left(_SIZES, size), len(_SIZES) - 1) + 1
