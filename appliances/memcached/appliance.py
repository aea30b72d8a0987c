"""The appliance: its options, and what the sessions share."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from appliances.memcached.commands import COMMANDS
from appliances.memcached.session import Session, Worker
from appliances.memcached.store import Store
from netapp.ebb.core import EVENT_MANAGER, EbbRef
from netapp.node.appliance import Appliance

MIB = 1 << 20
# Beside -m: frames on their way, replies not yet acknowledged, and what slots of many sizes waste.
HEADROOM = 64 * MIB


def item_size(text: str) -> int:
    """1m, 512k, or bytes."""
    unit = {"k": 1 << 10, "m": MIB}.get(text[-1:].lower())
    digits = text[:-1] if unit else text
    size = int(digits) * (unit or 1) if digits.isascii() and digits.isdigit() else 0
    if not 1 << 10 <= size <= 1 << 30:
        raise ValueError(f"{text!r} is no item size from 1k to 1024m")
    return size


class Memcached(Appliance):
    """The memory cache memcached (text protocol, as version 1.6.18 speaks it)."""

    @dataclass(frozen=True)
    class Options(Appliance.Options):
        port: int = field(
            default=11211, metadata={"flags": ("-p", "--port"), "help": "TCP port to listen on", "range": (1, 65535)}
        )
        memory_limit: int = field(
            default=64,
            metadata={"flags": ("-m", "--memory-limit"), "help": "item memory in megabytes", "range": (1, 1 << 20)},
        )
        conn_limit: int = field(
            default=1024,
            metadata={"flags": ("-c", "--conn-limit"), "help": "max simultaneous connections", "range": (1, 1 << 20)},
        )
        max_reqs_per_event: int = field(
            default=20,
            metadata={
                "flags": ("-R", "--max-reqs-per-event"),
                "help": "requests of a connection in an event, after which others have their turn",
                "range": (1, 1 << 20),
            },
        )
        max_item_size: int = field(
            default=MIB,
            metadata={
                "flags": ("-I", "--max-item-size"),
                "help": "greatest size of an item: 1k to 1024m",
                "parse": item_size,
                "metavar": "SIZE",
                "shown": "1m",
            },
        )

    options: Memcached.Options

    def pool_bytes(self) -> int:
        limit = self.options.memory_limit * MIB
        return limit + limit // 4 + HEADROOM

    def start(self) -> None:
        options = self.options
        limit = options.memory_limit * MIB
        entropy = self.node.platform.entropy
        store = self.node.create_ebb(lambda core, ebb_id: Store(limit, entropy.random_bytes(16)))
        self.worker = Worker(
            EbbRef(store),
            EbbRef(EVENT_MANAGER),
            COMMANDS,
            began=self.wall_clock.nanoseconds() // 1_000_000_000,
            requests_per_event=options.max_reqs_per_event,
            max_connections=options.conn_limit,
            max_item=options.max_item_size,
        )
        self.tcp.listen(options.port, partial(Session, self.worker))

    def stop(self) -> None:
        self.worker.draining = True
        self.worker.reply.clear()
        self.worker.value.clear()

    def hint(self, address: str) -> str:
        script = r"set k 0 0 5\r\nhello\r\nget k\r\nquit\r\n"
        return f"bash -c 'exec 3<>/dev/tcp/{address}/{self.options.port}; printf \"{script}\" >&3; cat <&3'"
