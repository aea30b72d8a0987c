"""What is kept of a capture: each client's text in order, and nothing that cannot be replayed."""

import io
import struct
from collections.abc import Sequence
from pathlib import Path

import dpkt
import pytest

from bench.recording import CLOSE, OPEN, RESET, TEXT, BadRecording, Recording, read

CLIENT, SERVER = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
FIN, SYN, RST, ACK = 1, 2, 4, 16
LAST = 2**32 - 1


def frame(flags: int, seq: int, text: bytes = b"", ack: int = 0, port: int = 1000, server: int = 11211) -> bytes:
    """Of the client's."""
    segment = dpkt.tcp.TCP(sport=port, dport=server, seq=seq % 2**32, ack=ack % 2**32, flags=flags, data=text)
    return packed(CLIENT, SERVER, segment)


def reply(flags: int, seq: int, text: bytes = b"", ack: int = 0, port: int = 1000, server: int = 11211) -> bytes:
    segment = dpkt.tcp.TCP(sport=server, dport=port, seq=seq % 2**32, ack=ack % 2**32, flags=flags, data=text)
    return packed(SERVER, CLIENT, segment)


def packed(source: bytes, destination: bytes, segment: dpkt.tcp.TCP) -> bytes:
    packet = dpkt.ip.IP(src=source, dst=destination, p=6, data=segment)
    packet.len = len(packet)
    return bytes(dpkt.ethernet.Ethernet(data=packet))


def opened(initial: int = 100, server_initial: int = 500, port: int = 1000, server: int = 11211) -> list[bytes]:
    return [
        frame(SYN, initial, port=port, server=server),
        reply(SYN | ACK, server_initial, ack=initial + 1, port=port, server=server),
        frame(ACK, initial + 1, ack=server_initial + 1, port=port, server=server),
    ]


def recorded(tmp_path: Path, frames: Sequence[bytes], snaplen: int = 65535) -> Recording:
    path = tmp_path / "capture.pcap"
    with path.open("wb") as file:
        writer = dpkt.pcap.Writer(file, snaplen=snaplen)
        for number, one in enumerate(frames):
            writer.writepkt(one[:snaplen], ts=float(number))
    return read(str(path))


def steps(recording: Recording) -> list[tuple[int, int, bytes, int]]:
    return [(step.connection, step.kind, step.text, step.after) for step in recording.steps]


def test_text_with_what_was_acknowledged(tmp_path: Path) -> None:
    found = recorded(
        tmp_path,
        [
            *opened(),
            frame(ACK, 101, b"get a\r\n", ack=501),
            reply(ACK, 501, b"END\r\n", ack=108),
            frame(ACK, 108, ack=506),
            frame(ACK, 108, b"get b\r\n", ack=506),
            reply(ACK, 506, b"END\r\n", ack=115),
            frame(ACK | FIN, 115, b"quit\r\n", ack=511),
        ],
    )
    assert steps(found) == [
        (0, OPEN, b"", 0),
        (0, TEXT, b"get a\r\n", 0),
        (0, TEXT, b"get b\r\n", 5),
        (0, TEXT, b"quit\r\n", 10),
        (0, CLOSE, b"", 10),
    ]
    assert (found.connections, found.requests, found.text_bytes, found.left_out) == (1, 3, 20, {})


def test_the_order_between_connections_is_kept(tmp_path: Path) -> None:
    texts = [(1000, 101, b"a"), (1001, 101, b"b"), (1001, 102, b"c"), (1000, 102, b"d")]
    frames = [*opened(port=1000), *opened(port=1001)]
    found = recorded(tmp_path, frames + [frame(ACK, seq, text, 501, port) for port, seq, text in texts])
    assert [(step.connection, step.text) for step in found.steps if step.kind == TEXT] == [
        (0, b"a"),
        (1, b"b"),
        (1, b"c"),
        (0, b"d"),
    ]


def test_what_came_again_or_out_of_order(tmp_path: Path) -> None:
    found = recorded(
        tmp_path,
        [
            *opened(),
            frame(ACK, 104, b"def", ack=501),  # overtaken
            frame(ACK, 101, b"abc", ack=502),
            frame(ACK, 101, b"abc", ack=503),  # again
            frame(ACK, 104, b"defgh", ack=504),  # with more behind it
            frame(SYN, 100),  # late
            frame(ACK, 90, b"before", ack=504),
        ],
    )
    assert [step.text for step in found.steps if step.kind == TEXT] == [b"abcdef", b"gh"]
    assert [step.after for step in found.steps if step.kind == TEXT] == [1, 3]


def test_numbers_that_wrap(tmp_path: Path) -> None:
    found = recorded(
        tmp_path,
        [
            *opened(LAST - 2, LAST - 1),
            frame(ACK, LAST - 1, b"abcd", ack=LAST),
            frame(ACK, LAST + 3, b"ef", ack=LAST + 5),
        ],
    )
    assert steps(found)[1:] == [(0, TEXT, b"abcd", 0), (0, TEXT, b"ef", 5)]


def test_a_fin_that_overtook_text_waits_for_it(tmp_path: Path) -> None:
    found = recorded(tmp_path, [*opened(), frame(ACK | FIN, 104, ack=501), frame(ACK, 101, b"abc", ack=501)])
    assert [step.kind for step in found.steps] == [OPEN, TEXT, CLOSE]


def test_after_the_end_a_port_is_used_again(tmp_path: Path) -> None:
    found = recorded(
        tmp_path,
        [
            *opened(),
            frame(ACK, 101, b"a", ack=501),
            frame(RST | ACK, 102, ack=501),
            frame(ACK, 102, b"not any more", ack=501),
            *opened(9000, 20),
            frame(ACK, 9001, b"b", ack=21),
        ],
    )
    assert [(step.connection, step.kind, step.text) for step in found.steps] == [
        (0, OPEN, b""),
        (0, TEXT, b"a"),
        (0, RESET, b""),
        (1, OPEN, b""),
        (1, TEXT, b"b"),
    ]


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    found = recorded(
        tmp_path,
        [
            b"\xff" * 12 + b"\x08\x06" + bytes(28),
            b"short",
            frame(ACK, 1, b"in the midst", port=999),
            *opened(port=1, server=80),
            *opened(port=2),
            *opened(port=3),
            frame(ACK, 101, b"a", ack=501, port=2),
            frame(ACK, 101, b"b", ack=501, port=1, server=80),
        ],
    )
    assert found.requests == 1 and found.connections == 2
    assert found.left_out == {
        "frames without a TCP segment": 2,
        "segments of connections whose beginning is missing": 1,
        "connections to other servers": 1,
    }


def test_frames_that_were_cut_short(tmp_path: Path) -> None:
    frames = [*opened(), frame(ACK, 101, b"x" * 100, ack=501), frame(ACK, 101, b"y", ack=501)]
    found = recorded(tmp_path, frames, snaplen=80)
    assert [step.text for step in found.steps if step.kind == TEXT] == [b"y"]
    assert found.left_out == {"frames cut short": 1}


def pcapng(*frames: bytes, link: int = 1) -> bytes:
    file = io.BytesIO()
    writer = dpkt.pcapng.Writer(file, idb=dpkt.pcapng.InterfaceDescriptionBlockLE(linktype=link))
    for one in frames:
        writer.writepkt(one, ts=1.0)
    return file.getvalue()


WHOLE = pcapng(*opened(), frame(ACK, 101, b"get a\r\n", ack=501))


def test_pcapng(tmp_path: Path) -> None:
    path = tmp_path / "whole.pcapng"
    path.write_bytes(WHOLE)
    assert read(str(path)).requests == 1


@pytest.mark.parametrize(
    "data, part",
    [
        (None, "No such file"),
        (b"", "no capture"),
        (b"neither pcap nor pcapng, but long enough to be read as a header of one", "no capture"),
        (WHOLE[:40], "no capture"),
        (WHOLE[:-20], "broken after 3 frames"),
        (WHOLE + struct.pack("<II", 6, 2**31), "broken after 4 frames"),
        (WHOLE + struct.pack("<II", 6, 4), "broken after 4 frames"),
        (WHOLE + struct.pack("<II", 6, 0) + bytes(20), "broken after 4 frames"),
        (pcapng(), "no TCP connection begins in it"),
        (pcapng(frame(ACK, 101, b"get a\r\n")), "no TCP connection begins in it"),
        (pcapng(*opened()), "sent anything"),
        (pcapng(b"", link=113), "link type 113"),
    ],
)
def test_what_cannot_be_replayed(tmp_path: Path, data: bytes | None, part: str) -> None:
    path = tmp_path / "capture.pcapng"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(BadRecording) as raised:
        read(str(path))
    assert raised.value.exit_code == 2
    assert raised.value.message.startswith(f"{path}: ") and part in raised.value.message


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(BadRecording, match="directory"):
        read(str(tmp_path))


def test_any_bytes_are_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcapng"
    for place in range(len(WHOLE)):
        path.write_bytes(WHOLE[:place] + bytes([WHOLE[place] ^ 0xFF]) + WHOLE[place + 1 :])
        try:
            read(str(path))
        except BadRecording as error:
            assert error.exit_code == 2
