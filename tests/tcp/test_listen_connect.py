"""Who may open a connection: listeners, their bounds, ports, and what takes the place of a connection in TIME_WAIT."""

import pytest

from netapp.tcp.config import TcpConfig
from tests.support.stack import THEIRS, Recorder, flags_of, stack


def test_the_backlog_bounds_half_open_connections():
    with stack() as s:
        made = s.listen(backlog=2)
        peers = [s.peer(port=40000 + i) for i in range(3)]
        for peer in peers:
            peer.send("S", seq=1000)
            peer.seq = 1001
        answers = s.segments()
        assert [one.dport for one in answers] == [40000, 40001]
        assert s.counters["dropped_backlog"] == 1
        peers[0].ack = answers[0].seq + 1
        peers[0].send("A")
        assert len(made) == 1
        peers[2].send("S", seq=1000)
        assert flags_of(peers[2].one()) == "SA", "one has left the backlog"


def test_too_many_connections():
    with stack(TcpConfig(max_connections=2)) as s:
        s.listen()
        for port in (1, 2):
            s.peer(port=port).open()
        s.peer(port=3).send("S")
        assert not s.segments()
        assert s.counters["dropped_table_full"] == 1
        with pytest.raises(OSError, match="too many connections"):
            s.tcp.connect(THEIRS, 80, Recorder)


def test_connections_that_have_ended_give_way_to_new_ones():
    """Of those in TIME-WAIT, the oldest first: ours closed first. Who has not ended does not."""
    with stack(TcpConfig(max_connections=3)) as s:
        made = s.listen()
        stays = s.peer(port=1).open()
        for port in range(2, 10):
            peer = s.peer(port=port).open()
            made[-1].close()
            s.frames()
            peer.send("FA", ack=peer.ack + 1)
            s.frames()
        assert sorted(connection.remote[1] for connection in s.tcp.connections()) == [1, 8, 9]
        assert (s.counters["time_wait_evicted"], s.counters["dropped_table_full"]) == (6, 0)
        s.tcp.connect(THEIRS, 80, Recorder).abort()
        s.frames()
        assert s.counters["time_wait_evicted"] == 7
        for port in (20, 21):
            s.peer(port=port).open()
        s.peer(port=22).send("S")
        assert not s.segments() and s.counters["dropped_table_full"] == 1
        assert all(handler.calls[-1] == "closed" and handler.error is None for handler in made[1:9])
        stays.send("PA", b"still here")
        assert made[0].data == b"still here"


def test_listening_is_refused_with_a_reason():
    with stack() as s:
        listener = s.tcp.listen(7, Recorder)
        with pytest.raises(OSError, match="port 7 has a listener"):
            s.tcp.listen(7, Recorder)
        with pytest.raises(OSError, match="not an address of this node"):
            s.tcp.listen(8, Recorder, address="10.99.0.77")
        for port in (0, -1, 65536):
            with pytest.raises(ValueError, match="is no port"):
                s.tcp.listen(port, Recorder)
        with pytest.raises(TypeError, match="callable"):
            s.tcp.listen(8, 5)
        listener.close()
        listener.close()
        s.tcp.listen(7, Recorder)


def test_a_listener_of_one_address_goes_before_one_of_any():
    with stack() as s:
        anywhere, here = s.listen(), s.listen(address="10.99.0.2")
        s.peer().open()
        assert (len(anywhere), len(here)) == (0, 1)


def test_closing_a_listener_resets_what_is_half_open_and_leaves_connections():
    with stack() as s:
        made = s.listen(7)
        s.peer(port=1).open()
        half = s.peer(port=2)
        half.send("S")
        half.get()
        s.listener.close()
        assert flags_of(half.one()) == "RA"
        assert s.state() == "ESTABLISHED" and made[0].calls == ["connected"]
        s.peer(port=3).send("S")
        assert [flags_of(one) for one in s.segments()] == ["RA"]


def test_connecting_is_refused_with_a_reason():
    with stack() as s:
        for address in ("192.0.2.1", "10.99.0.2", "10.99.0.255", "127.0.0.1", "224.0.0.1"):
            with pytest.raises(OSError, match="no route"):
                s.tcp.connect(address, 80, Recorder)
        for port in (0, 65536):
            with pytest.raises(ValueError, match="is no port"):
                s.tcp.connect(THEIRS, port, Recorder)
        with pytest.raises(ValueError, match="is no port"):
            s.tcp.connect(THEIRS, 80, Recorder, local_port=70000)
        s.tcp.connect(THEIRS, 80, Recorder, local_port=5000)
        with pytest.raises(OSError, match="no local port is free"):
            s.tcp.connect(THEIRS, 80, Recorder, local_port=5000)
        s.tcp.connect(THEIRS, 81, Recorder, local_port=5000)  # another connection
        s.frames()


def test_a_factory_that_fails_while_connecting_leaves_nothing():
    with stack() as s:
        with pytest.raises(ZeroDivisionError):
            s.tcp.connect(THEIRS, 80, lambda: 1 // 0)
        with pytest.raises(TypeError, match="no TcpHandler"):
            s.tcp.connect(THEIRS, 80, lambda: "handler")
        handler, _ = s.connect()
        with pytest.raises(ValueError, match="has a connection already"):
            s.tcp.connect(THEIRS, 80, lambda: handler)
        assert len(s.tcp.connections()) == 1
        handler.abort()


def test_local_ports_are_dynamic_ones_and_all_different():
    with stack() as s:
        ports = {s.tcp.connect(THEIRS, 80, Recorder).local[1] for _ in range(50)}
        assert len(ports) == 50 and all(49152 <= port <= 65535 for port in ports)
        s.frames()


def test_nothing_listens():
    with stack() as s:
        peer = s.peer(to=9)
        peer.send("S", seq=1000)
        answer = peer.one()
        assert (flags_of(answer), answer.seq, answer.ack) == ("RA", 0, 1001)
        assert s.counters["dropped_no_connection"] == 1


def _to_time_wait(s, made):
    peer = s.peer(isn=1000).open()
    made[-1].close()
    assert flags_of(peer.one()) == "FA"
    peer.send("FA")
    peer.get()
    assert s.state() == "TIME_WAIT"
    return peer


def test_a_new_connection_takes_the_place_of_one_in_time_wait():
    with stack() as s:
        made = s.listen()
        old = _to_time_wait(s, made)
        new = s.peer(isn=old.seq + 100).open()
        assert (new.syn.seq - old.ack) % 2**32 < 2**31, "our numbers go on, too (RFC 9293, 3.6.1)"
        assert [handler.calls[-1] for handler in made] == ["closed", "connected"]
        assert made[0].error is None


def test_old_numbers_do_not_open_a_connection_out_of_time_wait():
    with stack() as s:
        old = _to_time_wait(s, s.listen())
        s.peer().send("S", seq=old.seq - 10)
        assert [flags_of(one) for one in s.segments()] == ["A"]
        assert s.state() == "TIME_WAIT"


def test_nothing_takes_the_place_where_nobody_listens():
    with stack() as s:
        made = s.listen(7)
        old = _to_time_wait(s, made)
        s.listener.close()
        s.peer().send("S", seq=old.seq + 100)
        assert [flags_of(one) for one in s.segments()] == ["A"], "a challenge"
        assert s.state() == "TIME_WAIT"
