"""Instructions of the virtio driver for a frame that is received and sent back, 32 in a turn.

    python -m bench.driver [--json]

The other side is the device model of tests/virtio, whose instructions are not counted. callgrind repeats the counts
exactly. Beside the driver's own there are those of whoever sends the frame back, of the pool's and chains' functions
that are not inlined, and of everything else: Python, and libc with its malloc and memcpy. That is nothing where a frame
costs neither an allocation nor a copy.
"""

from __future__ import annotations

import json

import click

from bench.bed import count_by_object
from bench.compare.tables import aligned
from tests.virtio.forward import BATCH, MEASURED

_USUAL = "VERSION_1 MAC CSUM GUEST_CSUM MRG_RXBUF EVENT_IDX INDIRECT_DESC"
QUEUES = {
    "split": _USUAL,
    "split, IN_ORDER": f"{_USUAL} IN_ORDER",
    "packed": f"{_USUAL} RING_PACKED",
    "packed, IN_ORDER": f"{_USUAL} RING_PACKED IN_ORDER",
}
_MEASURED_TURN = "__pyx_f_5bench_9forwarder_9Forwarder_measured_turn"
_DRIVER = "netapp/drivers/"
_PARTS = (("driver", _DRIVER), ("pool and chains", "netapp/iobuf/"), ("forwarder", "bench/"))
_ELSE = "else"


def per_frame(features: str) -> dict[str, float] | None:
    """Instructions by part. None: valgrind is not installed."""
    found = count_by_object("-m", "tests.virtio.forward", features, measured=_MEASURED_TURN)
    if found is None:
        return None
    made = dict.fromkeys([*[name for name, _ in _PARTS], _ELSE], 0.0)
    for file, count in found[0].items():
        name = next((name for name, folder in _PARTS if folder in file), _ELSE)
        made[name] += count / (BATCH * MEASURED)
    return made


@click.command(help=__doc__)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def main(as_json: bool) -> None:
    counted = {}
    for name, features in QUEUES.items():
        found = per_frame(features)
        if found is None:
            raise click.ClickException("no valgrind: run apt install valgrind")
        counted[name] = found | {"all": sum(found.values())}
    if as_json:
        click.echo(json.dumps({name: {part: round(n, 1) for part, n in one.items()} for name, one in counted.items()}))
        return
    head = ("instructions a frame", *next(iter(counted.values())))
    click.echo(aligned(head, [[name, *[f"{n:.1f}" for n in one.values()]] for name, one in counted.items()]))


if __name__ == "__main__":
    main()
