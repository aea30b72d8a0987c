"""A capture of memcached's clients, replayed on the memory wire."""

from __future__ import annotations

from typing import Any

from appliances.memcached.appliance import Memcached
from appliances.memcached.stats import general
from bench.bed import CLIENT, SERVER, Bed, packed
from bench.clients import ADDRESS_PORTS
from bench.recorded import Recorded
from bench.recording import Recording
from netapp.cli.find import find_appliance
from netapp.node.breakdown import Breakdown


class ReplayBed(Bed[Recorded]):
    """An empty memcached, and the recorded clients."""

    def __init__(
        self, recording: Recording, compiled: bool, device_checksums: bool, breakdown: Breakdown | None = None
    ) -> None:
        super().__init__(find_appliance("memcached", uncompiled=not compiled)(), device_checksums, breakdown=breakdown)
        self.clients = Recorded(
            self.outside,
            self.wire.b,
            self.wire.a.mac,
            packed(CLIENT),
            packed(SERVER),
            11211,
            recording.connections,
            device_checksums,
            [(step.connection, step.kind, step.text, step.after) for step in recording.steps],
        )
        self.introduce(1 + (recording.connections - 1) // ADDRESS_PORTS)


class Replay:
    """Plays a recording, each time from the beginning."""

    def __init__(
        self, recording: Recording, compiled: bool, device_checksums: bool, breakdown: Breakdown | None = None
    ) -> None:
        self.requests = recording.requests
        self._made = recording, compiled, device_checksums, breakdown
        self._breakdown = breakdown
        self.bed: ReplayBed | None = None  # of the last play

    def play(self, measured: bool = False) -> int:
        """ns of the node's turns."""
        self.close()
        self.bed = bed = ReplayBed(*self._made)
        if self._breakdown is not None:
            self._breakdown.restart()
        spent = bed.run(measured)
        if measured:
            bed.meter.count()
        return spent

    def copied(self) -> float:
        return self.bed.copied_bytes() / self.requests if self.bed else 0.0

    def close(self) -> None:
        if self.bed is not None:
            self.bed.close()
            self.bed = None


def outcome(recording: Recording) -> dict[str, Any]:
    """What there is in it and what comes of it, which does not depend on how it is measured."""
    replay = Replay(recording, True, True)
    replay.play()
    assert replay.bed is not None
    memcached, clients = replay.bed.node.appliance, replay.bed.clients
    assert isinstance(memcached, Memcached)
    with replay.bed.node.core:
        counted: dict[str, Any] = dict(general(memcached.worker, memcached.worker.store()))
    replay.close()
    return {
        "file": recording.path,
        "connections": recording.connections,
        "requests": recording.requests,
        "text_bytes": recording.text_bytes,
        "gets": counted["cmd_get"],
        "hits": counted["get_hits"],
        "early": clients.early,
        "dropped": clients.dropped,
        "left_out": recording.left_out,
    }
