"""The base classes that transports and paths derive from; the network layer calls through their vtables."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")


class Transport:
    def receive_packet(self, packet, info):
        raise NotImplementedError(f"{type(self).__name__} has no receive_packet(): declare it in its .pxd")

    def error_arrives(self, error):
        return 0

    def address_lost(self, address):
        return 0


class Path:
    def send(self, packet, protocol):
        raise NotImplementedError(f"{type(self).__name__} has no send(): declare it in its .pxd")

    def send_datagram(self, packet, protocol, dont_fragment):
        raise NotImplementedError(f"{type(self).__name__} has no send_datagram(): declare it in its .pxd")

    def refresh_mtu(self):
        return self.mtu

    def mark(self, ttl, traffic_class):
        return 0

    def doubt(self):
        return 0
