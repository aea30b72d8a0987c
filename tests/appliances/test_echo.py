"""The shortest appliance."""

from collections.abc import Iterator

import pytest

from netapp.iobuf.chain import Chain
from netapp.net.udp_socket import Endpoint, UdpHandler
from tests.support.appliances import BUILDS, SERVER, Served, appliance, served


@pytest.fixture(params=BUILDS)
def echo(request: pytest.FixtureRequest) -> Iterator[Served]:
    with served(appliance("echo", request.param), port=7) as running:
        yield running


def test_every_byte_comes_back(echo: Served) -> None:
    data = bytes(range(256)) * 300
    assert echo.ask(data) == data


def test_the_received_slots_are_what_is_sent(echo: Served) -> None:
    before = echo.node.pool.copied()
    assert echo.ask(b"x" * 1400) == b"x" * 1400
    after = echo.node.pool.copied()
    assert {place: after[place] - before[place] for place in ("appliance", "tcp", "user")} == {
        "appliance": 0,
        "tcp": 0,
        "user": 0,
    }


def test_both_builds_are_what_they_say() -> None:
    compiled, uncompiled = (appliance("echo", build) for build in BUILDS)
    assert compiled is not uncompiled
    modules = [__import__("sys").modules[compiled.__module__].__file__]
    assert modules[0] is not None and modules[0].endswith(".so")
    assert uncompiled.start.__code__.co_filename.endswith("echo.py")


class Asking(UdpHandler):
    def __init__(self) -> None:
        self.received: list[bytes] = []

    def receive(self, datagram: Chain, source: Endpoint) -> None:
        self.received.append(bytes(datagram))


def test_datagrams_come_back_by_reference(echo: Served) -> None:
    asking = Asking()
    with echo.client.core:
        echo.client.udp.connect(SERVER, 7, asking)
    before = echo.node.pool.copied()
    for i in range(3):
        with echo.client.core:
            asking.send(bytes([i]) * 1000)
        echo.simulation.settle()
    assert asking.received == [bytes([i]) * 1000 for i in range(3)]
    after = echo.node.pool.copied()
    assert {place for place in after if after[place] != before[place]} <= {"wire"}
