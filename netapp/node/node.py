"""A node: platform, devices, stack and appliance, wired. This is the only place that does it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

from netapp.drivers.device import Device
from netapp.drivers.polling import AdaptivePolling
from netapp.ebb.core import (
    BUFFER_POOL,
    CONGESTION_CONTROL,
    EVENT_MANAGER,
    NETWORK_MANAGER,
    TCP,
    TIMER,
    UDP,
    Core,
    EbbNamespace,
    EbbRef,
)
from netapp.event.manager import EventManager
from netapp.event.timer import TimerWheel
from netapp.iobuf.pool import BufferPool
from netapp.net.manager import NetworkManager
from netapp.net.udp import UdpManager
from netapp.node.appliance import POOL_BYTES, Appliance
from netapp.node.config import NodeConfig
from netapp.node.platform import Platform
from netapp.tcp.congestion.reno import Reno
from netapp.tcp.manager import TcpManager

_log = logging.getLogger("netapp.node")

# The peer has all that it is owed, and knows that this is the end.
_DRAINED = ("FIN_WAIT_2", "TIME_WAIT", "CLOSED")
_DRAIN_INTERVAL = 5_000_000  # ns between looks at the connections that are closing


class Node:
    """Three phases (design: "Cores"): built, with neither clock nor random seed read; cloned, which one core needs not;
    started. Then `run()`, or `turn()` by whoever drives it; `stop()` drains; `close()` gives everything back.

    `with node:` starts it on entry and closes it on exit; `with node.core:` runs code on its core.
    """

    def __init__(
        self,
        platform: Platform,
        devices: Device | Sequence[Device],
        appliance: Appliance | None = None,
        config: NodeConfig | None = None,
    ) -> None:
        """The node owns the devices: it closes them. Raises ValueError for a configuration that does not fit them."""
        self.platform = platform
        self.devices: tuple[Device, ...] = (devices,) if isinstance(devices, Device) else tuple(devices)
        self.appliance = appliance
        self.config = NodeConfig() if config is None else config
        if set(self.config.devices()) != set(range(len(self.devices))):
            raise ValueError(f"{len(self.devices)} devices, and interfaces on {len(set(self.config.devices()))}")
        self.stopped = False
        self._started = self._running = self._closed = self._stopping = False
        self._created: list[int] = []
        self.namespace = EbbNamespace()
        self.core: Core = self.namespace.cores[0]
        self._install()

    def _install(self) -> None:
        platform, config = self.platform, self.config
        install = self.namespace.install
        size = config.pool_bytes or (self.appliance.pool_bytes() if self.appliance else POOL_BYTES)
        install(BUFFER_POOL, lambda core, ebb_id: BufferPool(size, config.pool_reserve))
        install(TIMER, lambda core, ebb_id: TimerWheel())
        install(
            EVENT_MANAGER,
            lambda core, ebb_id: EventManager(platform.clock, platform.interrupts, config.handler_limit),
        )
        install(NETWORK_MANAGER, lambda core, ebb_id: NetworkManager(platform.entropy))
        install(CONGESTION_CONTROL, lambda core, ebb_id: Reno())
        # Views pin more than they show: the rest is for them, and for what comes in.
        tcp = replace(config.tcp, send_limit_total=min(config.tcp.send_limit_total, size // 2))
        install(TCP, lambda core, ebb_id: TcpManager(tcp, platform.entropy))
        install(UDP, lambda core, ebb_id: UdpManager(platform.entropy))
        self._polling = self.namespace.create(
            lambda core, ebb_id: AdaptivePolling(platform.interrupts, spin=config.spin)
        )

    # --- starting ------------------------------------------------------------------------------------------------

    def start(self, core: int = 0, cores: int = 1) -> None:
        """On core `core` of `cores`. What the appliance raises comes out, after the node was closed."""
        if core != 0 or cores != 1:
            raise ValueError(f"core {core} of {cores}: a node has one core")
        if self._started:
            raise RuntimeError("the node was started already")
        self._started = True
        try:
            with self.core:
                self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        self.pool: BufferPool = EbbRef(BUFFER_POOL)()
        # The clock is read once a turn: without one, what starts now would start at 0.
        self.events.turn()
        for place, interface in zip(self.config.devices(), self.config.interfaces):
            self.network.add_interface(self.devices[place].queues[0], interface)
        for route in self.config.routes:
            self.network.add_route(route.network, route.gateway)
        for device in self.devices:
            self.polling.attach(device.queues[0])
        self.core.get(TCP)
        self.core.get(UDP)
        appliance = self.appliance
        if appliance is not None:
            appliance.node = self
            appliance.wall_clock = self.platform.wall_clock
            appliance.log = logging.getLogger(f"netapp.appliance.{type(appliance).__name__}")
            appliance.start()
            self._running = True

    # Looked up each time: any of them may be rebound between two events.

    @property
    def events(self) -> EventManager:
        return cast(EventManager, self.core.get(EVENT_MANAGER))

    @property
    def timers(self) -> TimerWheel:
        return cast(TimerWheel, self.core.get(TIMER))

    @property
    def network(self) -> NetworkManager:
        return cast(NetworkManager, self.core.get(NETWORK_MANAGER))

    @property
    def tcp(self) -> TcpManager:
        return cast(TcpManager, self.core.get(TCP))

    @property
    def udp(self) -> UdpManager:
        return cast(UdpManager, self.core.get(UDP))

    @property
    def polling(self) -> AdaptivePolling:
        return cast(AdaptivePolling, self.core.get(self._polling))

    def rebind(self, ebb_id: int, fault_handler: Callable[[Core, int], Any]) -> bool:
        """Replaces a part while it runs (README, "Replacing a part"): at once, True, and raising what went wrong; or,
        called from an event, when that has ended: what goes wrong is logged, and the old part goes on."""
        return self.namespace.rebind(ebb_id, fault_handler)

    def create_ebb(self, fault_handler: Callable[[Core, int], Any]) -> int:
        """Defines an Ebb of the appliance's, which is destroyed with the node, before the parts below; its id."""
        ebb_id = self.namespace.create(fault_handler)
        self._created.append(ebb_id)
        return ebb_id

    # --- running -------------------------------------------------------------------------------------------------

    def turn(self) -> bool:
        """One turn, which never sleeps; whether anything was done."""
        return self.events.turn()

    def run(self) -> None:
        """Until the node has stopped."""
        with self.core:
            self.events.run()

    def stop(self, grace: int = 2_000_000_000) -> None:
        """Drains: nothing new is accepted, what was sent is acknowledged, connections are closed. What is not done
        after `grace` ns is reset, and run() ends. Once more, or with no time at all: at once."""
        if not self._started or self._closed or self.stopped:
            return
        with self.core:
            again, self._stopping = self._stopping, True
            if not again:
                self._deadline = self.events.now + grace
                self._stop_appliance()
                for listener in self.tcp.listening():
                    listener.close()
                for connection in self.tcp.connections():
                    connection.close()
                for socket in self.udp.sockets():
                    socket.close()
            if again or grace <= 0:
                self._deadline = self.events.now
            self.events.spawn(self._drain)

    def _stop_appliance(self) -> None:
        """Once, and only if its start() has returned."""
        if self._running and self.appliance is not None:
            self._running = False
            try:
                self.appliance.stop()
            except Exception:
                _log.exception("stop() of the appliance raised")

    def _drain(self) -> None:
        if self.stopped:
            return
        if self.events.now < self._deadline and any(c.state_name not in _DRAINED for c in self.tcp.connections()):
            self.timers.call_at(min(self.events.now + _DRAIN_INTERVAL, self._deadline), self._drain)
            return
        for connection in self.tcp.connections():
            if connection.state_name != "TIME_WAIT":
                connection.abort()
        self.stopped = True
        self.events.stop()  # after this turn, at whose end the resets go out

    # --- ending --------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Gives everything back, connections being reset. What stays in use is a bug, which is logged."""
        if self._closed:
            return
        self._closed = self.stopped = True
        with self.core:
            self._stop_appliance()
            for ebb_id in (TCP, UDP, *reversed(self._created), CONGESTION_CONTROL, self._polling):
                self.namespace.destroy(ebb_id)
            for device in self.devices:
                device.close()
            for ebb_id in (NETWORK_MANAGER, EVENT_MANAGER, TIMER):
                self.namespace.destroy(ebb_id)
            self._report_leaks()
            self.namespace.destroy(BUFFER_POOL)

    def _report_leaks(self) -> None:
        pool = self.namespace.representatives(BUFFER_POOL).get(self.core.index)
        if pool is not None and (pool.live_slots() or pool.live_iobufs()):
            places = ", ".join(f"{place} {size} bytes" for place, size in pool.pinned().items() if size)
            _log.error("%d slots and %d iobufs are still in use: %s", pool.live_slots(), pool.live_iobufs(), places)

    def __enter__(self) -> Node:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # --- looking at it -------------------------------------------------------------------------------------------

    def counters(self) -> dict[str, dict[str, int]]:
        """Of Ebbs by class, and of devices by name."""
        return self.namespace.counters() | {device.name: device.counters() for device in self.devices}
