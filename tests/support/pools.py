"""A core with a buffer pool for tests, which fails a test that leaves memory behind."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from netapp.ebb.core import BUFFER_POOL, Core, EbbNamespace
from netapp.iobuf.chain import live_chains
from netapp.iobuf.pool import BufferPool


class PoolCore:
    """The core, entered, and its Ebbs."""

    def __init__(self, namespace: EbbNamespace, pool: BufferPool) -> None:
        self.namespace = namespace
        self.core: Core = namespace.cores[0]
        self.pool = pool


def left_behind(pool: BufferPool) -> str:
    """What is still in use, by place; empty when nothing is."""
    slots, views = pool.live_slots(), pool.live_iobufs()
    if not slots and not views:
        return ""
    places = {place: size for place, size in pool.pinned().items() if size}
    return f"{slots} slots and {views} iobufs are still in use; bytes by place: {places}"


@contextmanager
def core_with_pool(size: int = 64 << 20, reserve: int = 1 << 20) -> Iterator[PoolCore]:
    """Enters core 0 of a new namespace. On the way out every slot, view and chain must be back."""
    namespace = EbbNamespace()
    pool = BufferPool(size, reserve)
    namespace.install(BUFFER_POOL, lambda core, ebb_id: pool)
    chains = live_chains()
    with namespace.cores[0]:
        yield PoolCore(namespace, pool)
        gc.collect()  # a caught exception is a cycle that holds the test's locals
        left = left_behind(pool)
        assert not left, left
        assert live_chains() <= chains, f"{live_chains() - chains} chains are still alive"
