"""What the sessions of a core share; and how a protocol's commands are read and answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from appliances.memcached.options import Options
from appliances.memcached.store import Store
from appliances.memcached.words import FIRST_SECOND
from netapp.ebb.core import EVENT_MANAGER, EbbRef
from netapp.iobuf.chain import Chain
from netapp.iobuf.cursor import Cursor
from netapp.tcp.request_handler import Requests

if TYPE_CHECKING:
    from appliances.memcached.session import Session
    from appliances.memcached.upkeep import Upkeep

LONGEST_RELATIVE = 60 * 60 * 24 * 30  # a longer time is one of day


class Protocol:
    def command(self, session: Session, worker: Worker, store: Store, cursor: Cursor, data: Chain) -> bool:
        raise NotImplementedError

    def stored(self, session: Session, worker: Worker, store: Store, result: int) -> bytes:
        raise NotImplementedError

    def completes(self, worker: Worker, data: Chain) -> bool:
        return True

    def bound(self, session: Session, worker: Worker, waiting: Chain) -> None:
        pass


class Negotiation(Protocol):
    """Until the first byte says which protocol the client speaks."""

    def command(self, session: Session, worker: Worker, store: Store, cursor: Cursor, data: Chain) -> bool:
        binary = cursor.read(1) == b"\x80"
        cursor.reset(data)
        session.protocol = worker.binary if binary else worker.text
        return session.protocol.command(session, worker, store, cursor, data)


class Worker(Requests):
    text: Protocol
    binary: Protocol
    protocol: Protocol
    shut_down: Callable[[], None]
    upkeep: Upkeep

    def __init__(self, store: EbbRef, options: Options, began: int) -> None:
        """`began`: the time of day now, in seconds."""
        Requests.__init__(self, options.max_reqs_per_event)
        self.store = store
        self.options = options
        self.max_connections = options.conn_limit
        self.verbosity = options.verbose
        self.began = began - FIRST_SECOND
        self.began_ns = EbbRef(EVENT_MANAGER)().now
        self.written = 0
        self.value = Chain()
        self.sessions: set[Session] = set()
        self.protocol = Negotiation()
        self.reset_counters()

    def reset_counters(self) -> None:
        self.total_connections = self.rejected_connections = self.yields = self.get_misses = 0
        self.bytes_read = self.bytes_written = 0

    def drop_unwritten(self) -> None:
        self.reply.drop_tail(self.reply.length - min(self.written, self.reply.length))

    def tick(self) -> Store:
        """The store, when it is not asked by a command: its clock shows now."""
        store: Store = self.store.get()
        store.now = FIRST_SECOND + (store.core.now - self.began_ns) // 1_000_000_000
        return store

    def expires(self, store: Store, exptime: int) -> int:
        """On the store's clock."""
        if exptime <= 0:
            return int(exptime < 0)
        if exptime <= LONGEST_RELATIVE:
            return store.now + exptime
        return exptime - self.began if exptime > self.began else 1
