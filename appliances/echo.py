from netapp.iobuf.chain import Chain
from netapp.node.appliance import Appliance
from netapp.tcp.handler import TcpHandler


class EchoSession(TcpHandler):
    def receive(self, data: Chain) -> None:
        self.send(data)  # the received slot itself goes back to the device


class Echo(Appliance):
    """Echo every byte (RFC 862)."""

    def start(self) -> None:
        self.tcp.listen(7, EchoSession)
