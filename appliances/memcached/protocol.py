"""A protocol: how commands are read and answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from appliances.memcached.session import Session
    from appliances.memcached.store import Store
    from appliances.memcached.worker import Worker
    from netapp.iobuf.chain import Chain
    from netapp.iobuf.cursor import Cursor


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
