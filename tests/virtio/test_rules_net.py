"""Rules of the network device (VIRTIO 1.2, 5.1): each fires where a driver breaks it."""

from __future__ import annotations

import pytest

from tests.virtio.bare import Bare
from tests.virtio.cases import PLAIN, SPLIT, Cases
from tests.virtio.model import mmio
from tests.virtio.model.frames import GSO_TCPV4, GSO_TCPV6, Header, checksum_is_right
from tests.virtio.model.rules import Violation
from tests.virtio.packets import large, partial, tcp_packet, udp_packet

CASES = Cases()
breaks = CASES.breaks


@CASES.parametrized
def test_the_rule_fires(rule, case):
    CASES.check(rule, case)


def transmitted(header: Header, frame: bytes, offered: str = SPLIT, without: str = "", **device) -> Bare:
    bare = Bare(offered, size=64, **device).steps(without)
    bare.transmit(header.pack() + frame)
    return bare


def test_packets_that_obey_are_cut_and_completed():
    for header, frame in (large(), partial(udp_packet(200)), partial(tcp_packet(100)), (Header(), udp_packet(300))):
        bare = transmitted(header, frame)
        bare.pump()
        assert len(bare.link.frames) == (3 if header.gso_type else 1)
        assert all(checksum_is_right(piece) and len(piece) <= 1514 for piece in bare.link.frames)


@breaks("net-config-write")
def writes_the_mac():
    bare = Bare()
    bare.registers.write8(mmio.CONFIG, 2)
    return bare


@breaks("net-mtu-transmit")
def more_than_the_mtu():
    return transmitted(Header(), udp_packet(1000), mtu=900)


@breaks("net-length")
def less_than_a_header():
    bare = Bare(SPLIT).steps()
    bare.transmit(bytes(11))
    return bare


@breaks("net-length")
def transmits_a_writable_buffer():
    bare = Bare(SPLIT).steps()
    bare.tx.add([(bare.arena.put(PLAIN), len(PLAIN))], [(bare.arena.take(64), 64)])
    bare.tx.publish()
    bare.notify(bare.tx)
    return bare


@breaks("net-num-buffers")
def num_buffers_1():
    return transmitted(Header(num_buffers=1), udp_packet(100))


@breaks("net-flags")
def flags_without_csum():
    return transmitted(*partial(udp_packet(100)), offered="mac")


@breaks("net-flags")
def data_valid():
    return transmitted(Header(flags=2), udp_packet(100))


@breaks("net-gso-type")
def tso_that_was_not_negotiated():
    return transmitted(*large(), without="HOST_TSO4 HOST_ECN RSC_EXT HOST_TSO6")


@breaks("net-gso-type")
def a_type_that_is_not():
    return transmitted(*large(gso_type=9))


@breaks("net-gso-checksum")
def without_needs_csum():
    return transmitted(*large(flags=0))


@breaks("net-gso-checksum")
def without_gso_size():
    return transmitted(*large(gso_size=0))


@breaks("net-gso-header")
def tcp_segmentation_of_udp():
    header, frame = partial(udp_packet(1000))
    return transmitted(header._replace(gso_type=GSO_TCPV4, gso_size=500, hdr_len=54), frame)


@breaks("net-ecn")
def cwr_without_the_bit():
    header, frame = partial(tcp_packet(3000, flags=0x90))
    return transmitted(header._replace(gso_type=GSO_TCPV4, gso_size=1000, hdr_len=54), frame)


@breaks("net-ecn")
def the_bit_without_the_feature():
    return transmitted(*large(gso_type=GSO_TCPV4 | 0x80), without="HOST_ECN")


@breaks("net-header-length")
def hdr_len_too_short():
    return transmitted(*large(hdr_len=53), without="GUEST_HDRLEN")


@breaks("net-header-length")
def hdr_len_not_exact():
    return transmitted(*large(hdr_len=60))


def test_hdr_len_may_be_longer_without_guest_hdrlen():
    transmitted(*large(hdr_len=60), without="GUEST_HDRLEN").pump()


@breaks("net-checksum-range")
def csum_start_beyond():
    header, frame = partial(udp_packet(100))
    return transmitted(header._replace(csum_start=len(frame)), frame)


@breaks("net-checksum-range")
def csum_offset_elsewhere():
    header, frame = partial(udp_packet(100))
    return transmitted(header._replace(csum_offset=16), frame)


@breaks("net-checksum")
def a_field_without_the_pseudo_header():
    header, frame = partial(udp_packet(100))
    return transmitted(header, frame[:40] + b"\0\0" + frame[42:])


@breaks("net-checksum")
def a_checksum_that_is_wrong():
    frame = udp_packet(100)
    return transmitted(Header(), frame[:40] + b"\1\2" + frame[42:])


@breaks("net-oversized")
def larger_than_a_frame():
    return transmitted(Header(), udp_packet(1473), without="MTU")


def test_a_tag_may_be_added_to_the_largest_frame():
    frame = udp_packet(1472)
    transmitted(Header(), frame[:12] + b"\x81\0\0\5" + frame[12:]).pump()


@breaks("net-receive-writable")
def a_readable_receive_buffer():
    bare = Bare(SPLIT).steps()
    bare.rx.add([(bare.arena.take(12), 12)], [(bare.arena.take(2048), 2048)])
    bare.rx.publish()
    bare.notify(bare.rx)
    return bare


@breaks("net-receive-small")
def no_room_for_a_header():
    bare = Bare(SPLIT).steps()
    bare.post(11)
    return bare


@breaks("net-receive-small")
def no_room_for_a_frame():
    bare = Bare("mac").steps()
    bare.post(1525)
    return bare


@breaks("net-receive-small")
def no_room_for_a_large_one():
    bare = Bare("firecracker").steps()
    bare.post(65561)
    return bare


@breaks("net-receive-mtu")
def not_room_for_one_packet():
    bare = Bare(SPLIT)
    bare.negotiate()
    for index in range(3):
        bare.queue(index)
    bare.post(512, 2, notify=False)
    bare.status(15)
    return bare


@breaks("net-queue-unused")
def the_second_pair_at_once():
    bare = Bare(SPLIT, pairs=2).steps()
    queue = bare.queues[3]
    queue.add([(bare.arena.put(PLAIN), len(PLAIN))])
    queue.publish()
    bare.notify(queue)
    return bare


def test_the_second_pair_after_the_command():
    bare = Bare(SPLIT, pairs=2).steps()
    assert bare.command(4, 0, b"\2\0") == 0
    queue = bare.queues[3]
    queue.add([(bare.arena.put(PLAIN), len(PLAIN))])
    queue.publish()
    bare.notify(queue)
    bare.pump()
    assert len(bare.link.sent) == 1


@pytest.mark.parametrize("pairs", [0, 3])
def test_pairs_that_there_are_not(pairs):
    bare = Bare(SPLIT, pairs=2).steps()
    with pytest.raises(Violation, match="net-pairs"):
        bare.command(4, 0, pairs.to_bytes(2, "little"))


def raised_by_the_command(bare: Bare, *command) -> Bare:
    with pytest.raises(Violation):
        bare.command(*command)
    bare.device.rules.raised = 0
    return bare


@breaks("net-pairs")
def pairs_that_are_not_enabled():
    return raised_by_the_command(Bare(SPLIT, pairs=2).steps(), 4, 0, b"\3\0")


@breaks("net-control-layout")
def no_byte_for_the_answer():
    bare = Bare(SPLIT).steps()
    bare.control.add([(bare.arena.put(b"\4\0\1\0"), 4)])
    bare.control.publish()
    bare.notify(bare.control)
    return bare


@breaks("net-control-layout")
def data_of_another_length():
    return raised_by_the_command(Bare(SPLIT).steps(), 1, 1, b"12345")


@breaks("net-control-class")
def a_mac_without_the_feature():
    return raised_by_the_command(Bare("mac CTRL_VQ").steps(), 1, 1, b"123456")


def test_ipv6_is_not_cut():
    header, frame = large(gso_type=GSO_TCPV6)
    bare = transmitted(header, frame)
    bare.pump()
    assert bare.device.count["tx_not_segmented"] == 1
