"""memcached's item store is replaced while it serves."""

import pytest

from netapp.ebb.core import EbbError, Representative
from tests.support.appliances import appliance, served


class Other(Representative):
    def take_over(self, old: object) -> None:
        pass


def test_items_stay_when_the_store_is_replaced(build: str) -> None:
    found = appliance("memcached", build)
    with served(found, ["-m", "8"]) as running:
        worker = running.node.appliance.worker  # type: ignore[union-attr]
        old = running.node.core.get(worker.store.ebb_id)
        kind = type(old)
        client = running.steady
        for number in range(1000):
            running.send(client, b"set key%d 0 0 4000 noreply\r\n%s\r\n" % (number, b"%4000d" % number))
        assert len(old) == 1000
        assert running.ask(b"lru tune 11 22 0.3 2.0\r\n") == b"OK\r\n"
        running.send(client, b"set half 0 0 10\r\n12345")  # a value that is arriving

        class Smallest(kind):  # type: ignore[misc,valid-type]
            """Whatever else it does: it is another one."""

        with running.node.core:
            with pytest.raises(EbbError, match="no Store"):
                running.node.rebind(worker.store.ebb_id, lambda core, ebb_id: Other())
            assert running.node.rebind(worker.store.ebb_id, lambda core, ebb_id: Smallest(2 << 20, bytes(16)))
        new = running.node.core.get(worker.store.ebb_id)
        assert (new.hot_percent, new.warm_percent) == (11, 22), "as the operator tuned the old one"
        assert type(new) is Smallest and len(new) == 1000 and new.used > new.limit and len(old) == 0
        assert running.ask(b"67890\r\n", client=client) == b"STORED\r\n"
        assert running.ask(b"get half\r\n", client=client) == b"VALUE half 0 10\r\n1234567890\r\nEND\r\n"
        assert running.ask(b"get key0\r\n", client=client) == b"END\r\n", "the oldest had to go"
        assert running.ask(b"get key999\r\n", client=client).startswith(b"VALUE key999 0 4000\r\n  ")
        assert new.used + new.reserved <= new.limit and new.evictions > 400
        del worker, old, new, client
