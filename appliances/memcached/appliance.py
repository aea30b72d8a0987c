"""The appliance: what the options make of store, worker and sockets, and what runs in the background."""

from functools import partial

from appliances.memcached.binary import Binary
from appliances.memcached.commands import COMMANDS
from appliances.memcached.meta import Meta
from appliances.memcached.options import HEADROOM, MIB
from appliances.memcached.options import Options as MemcachedOptions
from appliances.memcached.session import Session
from appliances.memcached.store import Store
from appliances.memcached.text import Text
from appliances.memcached.udp import Datagrams
from appliances.memcached.upkeep import Upkeep
from appliances.memcached.worker import Worker
from netapp.ebb.core import EbbRef
from netapp.node.appliance import Appliance

BEGUN = 4096  # bytes that the first pieces of a command pin: each connection may have one


class Memcached(Appliance):
    """The memory cache memcached (as version 1.6.18 speaks it: text, meta and binary protocol)."""

    Options = MemcachedOptions
    options: MemcachedOptions

    def shut_down(self) -> None:
        """The command `shutdown`: in a later turn, for the session that asks is closed first."""
        self.events.spawn(self.node.stop)

    def pool_bytes(self) -> int:
        limit = self.options.most_memory * MIB
        return limit + limit // 4 + HEADROOM + self.options.conn_limit * BEGUN

    def _make_store(self) -> Store:
        options = self.options
        random_bytes = self.node.platform.entropy.random_bytes
        store = Store(options.memory_limit * MIB, random_bytes(16), options.max_item_size, not options.disable_cas)
        store.evicts = not options.disable_evictions
        store.hot_percent, store.warm_percent = options.more.hot_lru_pct, options.more.warm_lru_pct
        return store

    def start(self) -> None:
        options = self.options
        store = self.node.create_ebb(lambda core, ebb_id: self._make_store())
        self.worker = Worker(EbbRef(store), options, began=self.wall_clock.nanoseconds() // 1_000_000_000)
        self.worker.text = Text({**COMMANDS, **Meta().commands})
        self.worker.binary = Binary()
        spoken = {"ascii": self.worker.text, "binary": self.worker.binary}
        self.worker.protocol = spoken.get(options.protocol, self.worker.protocol)
        self.worker.shut_down = self.shut_down
        for address, port in options.addresses:
            if port:
                self.tcp.listen(port, partial(Session, self.worker, self.worker.protocol), address, options.backlog)
        if options.udp_port:
            for address in dict(options.addresses):
                self.udp.bind(options.udp_port, Datagrams(self.worker), address)
        if options.threads != 1:
            self.log.info("-t %d: one thread is used", options.threads)
        self.worker.upkeep = Upkeep(self, self.worker)

    def stop(self) -> None:
        self.worker.upkeep.stop()
        for session in self.worker.sessions:
            session.leaving = True  # what comes is dropped
        self.worker.clear()
        self.worker.value.clear()

    def hint(self, address: str) -> str:
        script = r"set k 0 0 5\r\nhello\r\nget k\r\nquit\r\n"
        where, port = self.options.addresses[0]
        if not port:
            return ""
        return f"bash -c 'exec 3<>/dev/tcp/{where or address}/{port}; printf \"{script}\" >&3; cat <&3'"
