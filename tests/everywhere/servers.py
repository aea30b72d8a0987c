"""memcached, ours, wherever it runs: on a memory wire, behind the device model, on a tap, as a virtual machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from netapp.cli.run import appliance_options
from netapp.drivers.virtio.net import VirtioNet
from netapp.node.simulation import Simulation
from tests.everywhere.frames import OURS, Frames, MemoryFrames, TapFrames
from tests.everywhere.guest import guest
from tests.memcached.compare import Peer
from tests.memcached.datagrams import Datagrams, KernelDatagrams, WireDatagrams
from tests.memcached.debian import NO_MOVES, debian
from tests.memcached.peers import KernelPeer, WirePeer
from tests.support.appliances import Ends, appliance, on_wire, served
from tests.support.command import netapp
from tests.virtio.model.machine import simulated

SIMULATED, REAL = ("memory", "model", "model-packed"), ("tap", "microvm", "q35")
PORT, TAP = 11211, "netapp0"
_UDP = ("-U", str(PORT))
_DEBIANS = 11311


@contextmanager
def _on_model(simulation: Simulation, offered: str, wire: dict[str, Any] | None = None) -> Iterator[Ends]:
    kind = "mmio" if offered == "qemu-packed" else "pci"
    with simulated(simulation, offered, kind, wire=wire) as (machine, end):
        card = VirtioNet(machine.transport(), machine.controller, machine.platform.interrupts)
        yield Ends(card, end, machine.platform)
        assert card.counters()["violations"] == 0


def _joined(where: str, wire: dict[str, Any] | None = None) -> dict[str, Any]:
    """Arguments of served()."""
    if where == "memory":
        return {"joined": on_wire}
    return {"joined": _on_model, "offered": where.replace("model", "qemu"), "wire": wire}


@contextmanager
def serving(where: str, image: Path | None, folder: Path, **offered: bool) -> Iterator[dict[str, bool]]:
    """One of REAL, on the tap TAP of the caller's network namespace. `offered`: what guest() takes, and gives back as
    agreed."""
    if where == "tap":
        with netapp(folder, "memcached", "--tap", TAP, "--", *_UDP) as running:
            yield {}
            assert running.end() == 0 and "Traceback" not in running.said()
    else:
        assert image is not None
        with guest(image, where, TAP, ("--address", f"{OURS}/24", "--", *_UDP), **offered) as made:
            yield made.agreed()


@contextmanager
def simulated_frames(where: str) -> Iterator[Frames]:
    """One of SIMULATED. No handler may have raised."""
    joined = _joined(where, {"features_b": 0})
    found = appliance("memcached", "compiled")
    with Simulation() as simulation, joined.pop("joined")(simulation, **joined) as ends:
        node = simulation.node(ends.ours, found(appliance_options(found, _UDP)), f"{OURS}/24", platform=ends.platform)
        made = MemoryFrames(simulation, ends.theirs)
        made.greet()
        yield made
        assert (node.events.counters()["exceptions"], node.tcp.counters()["callback_exceptions"]) == (0, 0)
        node.close()


@contextmanager
def tap_frames() -> Iterator[Frames]:
    """Where one of REAL is serving()."""
    with closing(TapFrames(TAP)) as made:
        made.greet()
        yield made


class Both(NamedTuple):
    """Debian's memcached, and ours, which have been asked the same since they began."""

    peers: tuple[Peer, Peer]
    datagrams: tuple[Datagrams, Datagrams]
    agreed: dict[str, bool]  # between the driver and the card of a virtual machine


@contextmanager
def debian_and(where: str, image: Path | None, folder: Path, **offered: bool) -> Iterator[Both]:
    """Ours is one of SIMULATED, or of REAL, in the network namespace of the caller."""
    with ExitStack() as stack:
        stack.enter_context(debian(_DEBIANS, "-t", "1", "-U", str(_DEBIANS), *NO_MOVES))
        peer: Peer
        datagrams: Datagrams
        agreed = {}
        if where in SIMULATED:
            running = stack.enter_context(served(appliance("memcached", "compiled"), _UDP, **_joined(where)))
            peer, datagrams = WirePeer(running), stack.enter_context(closing(WireDatagrams(running)))
        else:
            agreed = stack.enter_context(serving(where, image, folder, **offered))
            peer, datagrams = KernelPeer(PORT, OURS), stack.enter_context(closing(KernelDatagrams(PORT, OURS)))
        theirs = stack.enter_context(closing(KernelDatagrams(_DEBIANS)))
        yield Both((KernelPeer(_DEBIANS), peer), (theirs, datagrams), agreed)
