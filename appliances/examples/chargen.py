"""As many bytes as the network takes: the congestion control of this appliance is its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from appliances.examples.scalable import Scalable
from netapp.ebb.core import CONGESTION_CONTROL
from netapp.iobuf.chain import Chain
from netapp.node.appliance import Appliance
from netapp.tcp.congestion.reno import Reno
from netapp.tcp.handler import TcpHandler

CONTROLS = {"scalable": Scalable, "reno": Reno}
LINES = b"".join(bytes(33 + (first + i) % 94 for i in range(72)) + b"\r\n" for first in range(94)) * 10


class ChargenSession(TcpHandler):
    def __init__(self, appliance: Chargen) -> None:
        self.appliance = appliance

    def connected(self) -> None:
        self.writable()

    def writable(self) -> None:
        limit = self.appliance.node.config.tcp.send_limit
        while self.connection is not None and self.connection.queued < limit:
            self.send(LINES)

    def receive(self, data: Chain) -> None:
        pass  # RFC 864: data received is thrown away


class Chargen(Appliance):
    """Send characters until the peer has enough (RFC 864; example: own congestion control)."""

    @dataclass(frozen=True)
    class Options(Appliance.Options):
        port: int = field(default=19, metadata={"help": "TCP port", "range": (1, 65535)})
        control: str = field(
            default="scalable", metadata={"help": "congestion control of new connections", "choices": tuple(CONTROLS)}
        )

    options: Chargen.Options

    def start(self) -> None:
        self.node.rebind(CONGESTION_CONTROL, lambda core, ebb_id: CONTROLS[self.options.control]())
        self.tcp.listen(self.options.port, partial(ChargenSession, self))

    def hint(self, address: str) -> str:
        return f"bash -c 'head -c 100M </dev/tcp/{address}/{self.options.port} | wc -c'"
