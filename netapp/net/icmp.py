"""ICMP. An echo request becomes its reply in its own slots: no byte of it is copied."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.libc.stdint import uint8_t, uint16_t
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.netapp.iobuf.pool import PLACE_NETWORK
from cython.cimports.netapp.net.counters import net_counters_t
from cython.cimports.netapp.net.icmp_errors import error_received
from cython.cimports.netapp.net.interface import writable
from cython.cimports.netapp.net.manager import NetworkManager, network
from cython.cimports.netapp.net.transport import Path
from cython.cimports.netapp.wire import icmp, ipv4
from cython.cimports.netapp.wire.bytes import raw16
from cython.cimports.netapp.wire.checksum import fold, sum_chain, updated


class Icmp:
    def receive_packet(self, packet, info):
        manager: NetworkManager = network()
        counters: cython.pointer(net_counters_t) = cython.address(manager.values)
        header: uint8_t[8]
        at: cython.pointer(uint8_t)
        checksum: uint16_t
        path: Path
        type: uint8_t
        counters.icmp_received += 1
        if icmp.check(cython.NULL, packet.length):
            counters.icmp_truncated += 1
            return 0
        # RFC 792: over the whole message. The device vouches for TCP and UDP only.
        if fold(sum_chain(packet, 0, 0)) != 0xFFFF:
            counters.icmp_bad_checksum += 1
            return 0
        packet.copy_out(0, header, icmp.HEADER_BYTES)
        type = header[icmp.OFFSET_TYPE]
        if type == icmp.TYPE_UNREACHABLE or type == icmp.TYPE_TIME_EXCEEDED or type == icmp.TYPE_PARAMETER_PROBLEM:
            return error_received(manager, packet, info)
        if type == icmp.TYPE_SOURCE_QUENCH:
            # RFC 6633, 3
            counters.icmp_source_quench += 1
            return 0
        if type == icmp.TYPE_REDIRECT:
            # RFC 1122, 3.2.2.2 would have it obeyed. Anybody on the way could choose our gateway with it.
            counters.icmp_redirects += 1
            return 0
        if type != icmp.TYPE_ECHO:
            # Timestamps are not answered (RFC 1122, 3.2.2.8: MAY), nor address masks (3.2.2.9: MUST NOT, unless it is
            # the agent for them) and information (3.2.2.7: SHOULD NOT).
            counters.icmp_not_handled += 1
            return 0
        # RFC 1122, 3.2.2.6 allows this silence: an answer of everybody is how a network is flooded.
        if info.multicast:
            counters.icmp_echo_to_group += 1
            return 0
        path = manager.path_between(info.key.local, info.key.remote)
        if path is None:
            return 0
        header[icmp.OFFSET_TYPE] = icmp.TYPE_ECHO_REPLY
        checksum = updated(raw16(header + icmp.OFFSET_CHECKSUM), icmp.TYPE_ECHO, icmp.TYPE_ECHO_REPLY)
        if checksum == 0:
            # What is all zeros has 0xFFFF; of what is not both are right (RFC 1071; RFC 1624, 3).
            checksum = 0xFFFF
        memcpy(header + icmp.OFFSET_CHECKSUM, cython.address(checksum), 2)
        at = packet.head.data
        if packet.head.length < icmp.HEADER_BYTES or not writable(packet.head):
            # Somebody else sees the request: the reply's header goes before the rest of it.
            packet.advance(icmp.HEADER_BYTES)
            at = packet.prepend(icmp.HEADER_BYTES, PLACE_NETWORK)
            if at == cython.NULL:
                counters.transmit_exhausted += 1
                return 0
        memcpy(at, header, icmp.HEADER_BYTES)
        memset(cython.address(packet.offload), 0, cython.sizeof(packet.offload))
        # Routers may cut the reply. Errors about it could be anybody's: none lowers the path MTU.
        if path.send_datagram(packet, ipv4.PROTOCOL_ICMP, False):
            counters.icmp_echoed += 1
        else:
            counters.transmit_full += 1
        return 0
