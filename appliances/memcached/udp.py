"""Requests in datagrams: each has a header of its own, and answers are cut into as many datagrams as they need."""

from appliances.memcached.session import Session
from appliances.memcached.worker import Worker
from netapp.iobuf.chain import Chain
from netapp.net.udp_socket import Endpoint, UdpHandler

HEADER_BYTES = 8  # request id, number of the datagram, how many there are, and 0; two bytes each
PAYLOAD = 1400 - HEADER_BYTES
MOST = 0xFFFF  # datagrams that their header can count
ALONE = b"\x00\x01"


class DatagramSession(Session):
    """One datagram's commands. Each has an answer of its own."""

    def __init__(self, worker: Worker, handler: "Datagrams", request_id: bytes) -> None:
        Session.__init__(self, worker, handler.protocol)
        self.most = 1
        self.left = worker.at_once
        self.handler = handler
        self.request_id = request_id

    def send(self, data: Chain) -> None:
        total = -(-data.length // PAYLOAD)
        if total > MOST:
            self.worker.store.get().count("udp_cut_off")
            data.clear()
            return
        answer = Chain()
        for number in range(total):
            answer.write(self.request_id + number.to_bytes(2) + total.to_bytes(2) + b"\0\0")
            answer.append(data.split(min(PAYLOAD, data.length)))
        if self.handler.reply(answer, PAYLOAD + HEADER_BYTES) < total:
            self.worker.store.get().count("udp_cut_off")  # the device's ring is full: the client asks again
            answer.clear()

    def wait_turn(self) -> bool:
        self.left -= 1
        self.yielded = False
        return self.left > 0 and self.take_up()

    def close(self) -> None:
        pass


class Datagrams(UdpHandler):
    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.protocol = worker.protocol

    def receive(self, datagram: Chain, source: Endpoint) -> None:
        worker = self.worker
        worker.bytes_read += datagram.length
        if datagram.length <= HEADER_BYTES:
            return
        header = datagram.split(HEADER_BYTES).tobytes()
        if header[4:6] != ALONE:  # protocol.txt: a request in several is not implemented
            return
        # What is not whole is dropped, as are commands beyond what a connection may have done at once.
        session = DatagramSession(worker, self, header[:2])
        session.work(datagram, False)
        session.closed(None)
