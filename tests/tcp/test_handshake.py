"""Opening: RFC 9293, 3.5 and 3.10.7.1 to 3.10.7.3."""

from tests.support.stack import Recorder, flags_of, stack


def test_a_peer_opens_and_data_goes_both_ways():
    with stack() as s:
        made = s.listen(7, lambda: Recorder(receive=lambda self, data: self.send(data)))
        peer = s.peer()
        peer.send("S", options=[("MSS", 1460), ("NOP", None), ("WScale", 7)])
        answer = peer.one()
        assert flags_of(answer) == "SA"
        assert answer.ack == peer.seq
        assert not made, "the handler is made when the handshake is done"
        peer.send("A")
        assert made[0].calls == ["connected"]
        peer.nothing()
        peer.send("PA", b"hello")
        assert made[0].data == b"hello"
        echo = peer.one()
        assert (bytes(echo.data), flags_of(echo)) == (b"hello", "PA")
        assert echo.ack == peer.seq, "the acknowledgment rides on the reply"
        peer.acknowledge()
        peer.nothing()
