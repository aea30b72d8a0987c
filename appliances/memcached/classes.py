"""memcached's size classes, which its statistics and `me` speak of: memory here belongs to none."""

from bisect import bisect_left

import cython

PAGE = 1 << 20
TABLED = 16 << 10  # bytes of an item, up to which its class is looked up


def chunk_sizes(least: int = 48, factor: float = 1.25, largest: int = PAGE // 2) -> list[int]:
    """In bytes; classes are numbered from 1."""
    sizes: list[int] = []
    size = float(48 + least)
    while size < largest / factor and len(sizes) < 62:
        size += -size % 8
        sizes.append(int(size))
        size = int(size * factor)
    return [*sizes, largest]


CHUNKS = chunk_sizes()
CLASSES = len(CHUNKS)
_TABLE = bytes(bisect_left(CHUNKS, 8 * eighth) + 1 for eighth in range(TABLED // 8 + 1))


@cython.boundscheck(False)  # type: ignore[untyped-decorator]  # the table is long enough
def slab_class(size: int) -> int:
    """Of an item of so many bytes; what is larger than the largest chunk takes several of those."""
    if size <= TABLED:
        return _TABLE[(size + 7) >> 3]
    return min(bisect_left(CHUNKS, size), CLASSES - 1) + 1
