"""What tests look at in a node that serves memcached."""

from typing import Any

from tests.support.appliances import Served


def worker_of(running: Served) -> Any:
    return running.node.appliance.worker  # type: ignore[union-attr]


def store_of(running: Served) -> Any:
    return running.node.core.get(worker_of(running).store.ebb_id)


def stats(running: Served) -> dict[str, int]:
    """The numbers among them."""
    lines = running.ask(b"stats\r\n").splitlines()[:-1]
    pairs = (line.decode().split(" ")[1:] for line in lines)
    return {name: int(value) for name, value in pairs if value.isdigit()}
