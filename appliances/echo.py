from netapp.iobuf.chain import Chain
from netapp.net.udp_socket import Endpoint, UdpHandler
from netapp.node.appliance import Appliance
from netapp.tcp.handler import TcpHandler


class EchoSession(TcpHandler):
    def receive(self, data: Chain) -> None:
        self.send(data)  # the received slot itself goes back to the device


class EchoSocket(UdpHandler):
    def receive(self, datagram: Chain, source: Endpoint) -> None:
        self.reply(datagram)  # so does this one


class Echo(Appliance):
    """Echo every byte (RFC 862)."""

    def start(self) -> None:
        self.tcp.listen(7, EchoSession)
        self.udp.bind(7, EchoSocket())
