"""The language itself: what scripts mean, and what is said when one fails or is refused."""

from pathlib import Path

import pytest

from tests.packets.__main__ import main
from tests.packets.errors import Failed, Refused
from tests.packets.runner import run

LISTEN = """
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
"""
OPEN = (
    LISTEN.strip()
    + """
+0 < S 0:0(0) win 65535 <mss 1000>
+0 > S. 0:0(0) ack 1 <...>
+0 < . 1:1(0) ack 1 win 65535
+0 accept(3, ..., ...) = 4
"""
)


def play(text: str, *options: str, trace: list[str] | None = None) -> None:
    run(Path("a.pkt"), options, (lambda line: None) if trace is None else trace.append, text)


def fails(text: str, message: str, line: int | None = None) -> Failed:
    with pytest.raises(Failed, match=message) as caught:
        play(text)
    assert line is None or caught.value.line == line
    return caught.value


def refused(text: str, message: str, *options: str) -> Refused:
    with pytest.raises(Refused, match=message) as caught:
        play(text, *options)
    return caught.value


# --- a failed test ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ("+0 > . 1:1001(1000) ack 1", "tcp_flags: expected: . vs actual: P."),
        ("+0 > P. 2:1002(1000) ack 1", "tcp_seq: expected: 2 .* vs actual: 1 "),
        ("+0 > P. 1:1000(999) ack 1", "tcp_payload: expected: 999 .* vs actual: 1000 "),
        ("+0 > P. 1:1001(1000) ack 2", "tcp_ack_seq: expected: 2 .* vs actual: 1 "),
        ("+0 > P. 1:1001(1000) ack 1 win 1", "tcp_window: expected: 1 .* vs actual: 65535 "),
        ("+0 > P. 1:1001(1000) ack 1 urg 3", "tcp_urg_ptr: expected: 3 "),
        ("+0 > P. 1:1001(1000) ack 1 <nop,nop,sackOK>", "TCP options: expected: <nop,nop,sackOK> vs actual: none"),
        ("+0 > [tos 0x10] P. 1:1001(1000) ack 1", "ipv4_tos: expected: 16 "),
        ("+0 > [ect0] P. 1:1001(1000) ack 1", "ip_ecn"),
        ("+0 > [ttl 3] P. 1:1001(1000) ack 1", "ipv4_ttl: expected: 3 "),
        ("+0 > 8080>40001 P. 1:1001(1000) ack 1", "ports: expected: 8080>40001 vs actual: 8080>40000"),
        ("+0 > udp (1000)", "protocol: expected: Udp vs actual: Tcp"),
        (
            "+.1 > P. 1:1001(1000) ack 1",
            "expected outbound packet at 0.100000 sec but happened at 0.000000",
        ),
        ("+.1~+.2 > P. 1:1001(1000) ack 1", "timing error: expected outbound packet at 0.100000~0.200000 sec"),
    ],
)
def test_an_outbound_packet_is_held_against_the_script(expected: str, message: str) -> None:
    error = fails(OPEN + "+0 write(4, ..., 1000) = 1000\n" + expected, message, 9)
    script, actual = error.details
    assert script.startswith("script packet: ") and "actual packet: 0.000000 " in actual
    assert "P. 1:1001(1000) ack 1 win 65535" in actual


def test_the_payload_is_held_against_what_was_written() -> None:
    play(OPEN + '+0 write(4, "hello", 5) = 5\n+0 > P. 1:6(5) ack 1 "hello"')
    fails(
        OPEN + '+0 write(4, "hello", 5) = 5\n+0 > P. 1:6(5) ack 1 "help!"',
        "payload: expected: b'help!' vs actual: b'hello'",
    )


def test_the_end_of_a_stream_is_not_taken_for_its_middle() -> None:
    play(OPEN + '+0 < P. 1:6(5) ack 1 win 100 "hello"\n+0 read(4, "hello", 5) = 5\n* > . 1:1(0) ack 6')
    fails(OPEN + '+0 < P. 1:6(5) ack 1 win 100 "hello"\n+0 read(4, "help!", 5) = 5', r"bad data from read\(\)")


def test_a_packet_that_does_not_come() -> None:
    error = fails(OPEN + "+0 > P. 1:2(1) ack 1", "no packet was sent by 0.000001 sec", 8)
    assert error.report("x.pkt").splitlines()[0].startswith("x.pkt:8: error handling packet: ")


def test_a_packet_that_comes_too_late_is_shown_with_its_time() -> None:
    error = fails(
        OPEN + "+0 < P. 1:2(1) ack 1 win 9\n+.02 > . 1:1(0) ack 2", "at 0.020000 sec but happened at 0.040000 sec"
    )
    assert error.details[1].startswith("actual packet: 0.040000 ")


def test_no_packet_may_be_left_over() -> None:
    fails(OPEN + "+0 write(4, ..., 10) = 10", "expects no more packets")
    fails(OPEN + "+0 < P. 1:2(1) ack 1 win 9\n+1 < . 2:2(0) ack 1 win 9", "expects no more packets")


def test_the_tolerance_is_an_option() -> None:
    late = OPEN + "+0 < P. 1:2(1) ack 1 win 9\n+.039 > . 1:1(0) ack 2"
    fails(late, "tolerance 0.000001 sec")
    play("--tolerance_usecs=1000\n" + late)
    play(late, "tolerance_usecs=1000")


@pytest.mark.parametrize("when", ["*", "+.04", "0.04", "+.03~+.05", "0.03~0.05", "+0~+1"])
def test_times(when: str) -> None:
    play(OPEN + f"+0 < P. 1:2(1) ack 1 win 9\n{when} > . 1:1(0) ack 2\n")


def test_a_time_that_has_passed() -> None:
    fails(
        OPEN + "+1 < . 1:1(0) ack 1 win 9\n0.5 < . 1:1(0) ack 1 win 9",
        "is to happen at 0.500000 sec, and it is 1.000000",
    )


def test_relative_times_count_from_when_a_packet_came_that_may_come_at_any_time() -> None:
    play(OPEN + "+0 < P. 1:2(1) ack 1 win 9\n* > . 1:1(0) ack 2\n+.06 < P. 2:3(1) ack 1 win 9\n0.14 > . 1:1(0) ack 3")


# --- calls -----------------------------------------------------------------------------------------------------------


def test_the_result_of_a_call() -> None:
    fails(OPEN + "+0 write(4, ..., 10) = 9", "runtime error in write call: Expected result 9 but got 10", 8)
    fails(LISTEN + "+0 accept(3, ..., ...) = 4", "accept call: it blocks")
    fails(LISTEN + "+0 read(7, ..., 9) = 4", "bad descriptor 7")
    wrong = OPEN + "+0 < R 1:1(0) win 0\n+0 read(4, ..., 9) = -1 ETIMEDOUT (Connection timed out)"
    fails(wrong, "Expected result -1 ETIMEDOUT but got -1 ECONNRESET")


def test_a_blocking_call_ends_when_the_script_says() -> None:
    good = OPEN + "+0...0.2 read(4, ..., 9) = 1\n+.2 < P. 1:2(1) ack 1 win 9\n+.04 > . 1:1(0) ack 2"
    play(good)
    fails(
        good.replace("+0...0.2", "+0...0.1"), "expected system call return at 0.100000 sec but happened at 0.200000 sec"
    )
    fails(good.replace("= 1", "= 2"), "Expected result 2 but got 1")
    fails(OPEN + "+0...0.2 read(4, ..., 9) = 1", "it blocks still at 0.200000 sec")


def test_a_socket_that_does_not_block() -> None:
    play(OPEN + "+0 fcntl(4, F_GETFL) = 2\n+0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n+0 read(4, ..., 9) = -1 EAGAIN")
    play(OPEN + "+0 recv(4, ..., 9, MSG_DONTWAIT) = -1 EAGAIN (Resource temporarily unavailable)")


def test_data_waits_in_the_stack_until_it_is_read() -> None:
    play(
        "--tcp_receive_window=2000\n" + OPEN + "+0 < P. 1:1001(1000) ack 1 win 9\n+.04 > . 1:1(0) ack 1001 win 1000\n"
        "+0 read(4, ..., 2000) = 1000\n+0 > . 1:1(0) ack 1001 win 2000\n"
    )


@pytest.mark.parametrize(
    "call",
    [
        "write(4, ..., 100) = 100",
        "send(4, ..., 100, MSG_NOSIGNAL) = 100",
        "sendto(4, ..., 100, 0, ..., ...) = 100",
        "writev(4, [{..., 60}, {..., 40}], 2) = 100",
        "sendmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 100}], msg_flags=0}, 0) = 100",
    ],
)
def test_ways_to_send(call: str) -> None:
    play(OPEN + f"+0 {call}\n+0 > P. 1:101(100) ack 1")


def test_several_lines_and_comments_make_no_difference() -> None:
    play(OPEN + "/* a comment\n over lines */ +0 write(4,\n ...,\n 10) = 10\n+0 > P. 1:11(10)\n  ack 1 // and the end")


# --- packets ---------------------------------------------------------------------------------------------------------


def test_what_the_peer_acknowledges_is_relative_in_options_as_well() -> None:
    """Our numbers begin anywhere: a wrong translation would be an acknowledgment of what was never sent."""
    trace: list[str] = []
    play(OPEN + "+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1\n+0 < . 1:1(0) ack 11 win 9 <nop,nop,sack 1:11>\n"
         "+1 %{ assert queued == 0 }%", trace=trace)  # fmt: skip
    assert any("outbound sniffed packet:  0.000000 P. 1:11(10) ack 1" in line for line in trace)
    assert any("inbound injected packet:  0.000000 . 1:1(0) ack 11 win 9 <nop,nop,sack 1:11>" in line for line in trace)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("mss 1460,nop,wscale 7", "020405b4 01 030307"),
        ("nop,nop,sackOK", "01 01 0402"),
        ("nop,nop,TS val 100 ecr 7", "01 01 080a 00000064 00000007"),
        ("nop,nop,sack 1:2 3:4", "01 01 0512 00000001 00000002 00000003 00000004"),
        ("FO 0102030405060708,nop,nop", "220a 0102030405060708 01 01"),
        ("FOEXP 01020304", "fe08 f989 01020304"),
        ("kind 77 abcdef01,eol,nop", "4d06 abcdef01 00 01"),
        ("raw 0x0200ffff", "0200ffff"),
    ],
)
def test_options_on_the_wire(text: str, options: str) -> None:
    from tests.packets.flows import Flow
    from tests.packets.parser import parse
    from tests.packets.script import Packet, Tcp

    packet = parse(Path("a"), f"0 < S 0:0(0) win 9 <{text}>").events[0].action
    assert isinstance(packet, Packet) and isinstance(packet.body, Tcp) and packet.body.options
    assert Flow(1, 2).encode(packet.body.options) == bytes.fromhex(options)


def test_time_stamps_of_ours_are_learned() -> None:
    from tests.packets.flows import Flow
    from tests.packets.script import Timestamp

    flow = Flow(1, 2)
    live = bytes.fromhex("0101080a 00abcdef 00000007")
    assert flow.expected((Timestamp(100, 7),), live)[2:6] == bytes.fromhex("00abcdef")
    assert flow.encode((Timestamp(9, 100),)) == bytes.fromhex("080a 00000009 00abcdef")
    assert flow.encode((Timestamp(9, 101),)) == bytes.fromhex("080a 00000009 00000065")


def test_what_is_wrong_on_purpose() -> None:
    dropped = OPEN + "+0 < P. 1:11(10) ack 1 win 9 {{ {} }}\n+1 %{{ assert {} == 1 }}%"
    play(dropped.format("tcp.checksum bad", "counters['dropped_checksum']"))
    play(dropped.format("tcp.checksum 7", "counters['dropped_checksum']"))
    play(dropped.format("tcp.offset 3", "counters['dropped_header']"))
    play(dropped.format("ip.checksum bad", "network_counters['ipv4_bad_checksum']"))


def test_udp_is_sent() -> None:
    play("0 < udp 1000>2000 (10)\n+0 > icmp unreachable port_unreachable [udp (10)]\n+1 %{ assert connections == 0 }%")
    play("0 < udp 1000>2000 (10) { udp.checksum bad }\n+1 %{ assert connections == 0 }%")


# --- code ------------------------------------------------------------------------------------------------------------


def test_code() -> None:
    play(OPEN + "+0 %{\nassert state == 'ESTABLISHED'\nassert tcpi_state == TCP_ESTABLISHED }%")
    fails(OPEN + "+0 %{ assert state == 'LISTEN', state }%", "code: AssertionError: ESTABLISHED")
    fails(OPEN + "+0 %{ assert nothing }%", "NameError: name 'nothing' is not defined")
    refused(OPEN + "+0 %{ assert tcpi_sacked == 0 }%", "tcpi_sacked: nothing here corresponds to it")
    refused(OPEN + "+0 %{ assert ( }%", "code: ")


# --- configuration ---------------------------------------------------------------------------------------------------


def test_options_reach_the_stack() -> None:
    text = OPEN + "+0 < P. 1:2(1) ack 1 win 9\n+.3 > . 1:1(0) ack 2"
    play("--tcp_delayed_ack=300ms\n" + text)
    play(text, "tcp_delayed_ack=300ms")
    play("--ip_version=ipv4 --mtu=900\n`sysctl -q netapp.tcp.delayed_ack=0.3s`\n" + text)
    play("--local_ip=192.168.0.1\n--remote_ip=192.0.2.1\n--gateway_ip=192.168.0.254\n--tcp_delayed_ack=300ms\n" + text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--speed=10\n" + LISTEN, "option --speed: nothing here corresponds"),
        ("--ip_version=ipv6\n" + LISTEN, "IPv4 only"),
        ("--tcp_minimum_rto=fast\n" + LISTEN, "option --tcp_minimum_rto=fast: a number"),
        ("--tcp_receive_window=0\n" + LISTEN, "it must be positive"),
        ("--local_ip=10.99.0.255\n" + LISTEN, "addresses do not fit"),
        ("`ls`\n" + LISTEN, "shell command `ls`"),
        ("`sysctl net.ipv4.tcp_magic=1`\n" + LISTEN, "sysctl net.ipv4.tcp_magic: nothing"),
        (LISTEN + "+0 `sysctl netapp.tcp.time_wait=1s`", "nothing can change after the first event"),
        (LISTEN + "+0 epoll_wait(3) = 0", r"system call epoll_wait\(\): nothing here corresponds"),
        (LISTEN + "+0 listen(3) = 0", r"listen\(\) with 1 arguments"),
        (LISTEN + "+0 setsockopt(3, SOL_SOCKET, SO_MARK, [1], 4) = 0", "setsockopt SO_MARK = 1: the handler API"),
        (LISTEN + "+0 setsockopt(3, SOL_SOCKET, SO_NONSENSE, [1], 4) = 0", "unknown symbol SO_NONSENSE"),
        (OPEN + "+0 recv(4, ..., 9, MSG_PEEK) = 1", "flags MSG_PEEK of recv"),
        (OPEN + "+0 shutdown(4, SHUT_RD) = 0", "shutdown SHUT_RD"),
        ("0 socket(..., SOCK_SEQPACKET, IPPROTO_TCP) = 3", r"socket\(SOCK_SEQPACKET\)"),
        ("0 < ipv6 S 0:0(0) win 9", "packet field ipv6"),
        ("0 < [flowlabel 5] S 0:0(0) win 9", "packet field flowlabel"),
        ("0 < X 0:0(0) win 9", "packet field flags: X"),
        ("0 < S 0:0(0) win 9 <mptcp 4>", "TCP option mptcp: no such option"),
        ("0 < S 0:0(0) win 9 <mss 1460,nop>", "5 bytes: a multiple of 4"),
        ("0 < S 0:0(0) win 9 <...>", "only be used with outbound"),
        ("0 < S 0:0(0)", "window must be specified"),
        ("0 < S 0:5(4) win 9", "inconsistent TCP sequence numbers"),
        ("0 < S 0:0(0) win 70000", "window value out of range"),
        ("0 < . 0:0(0) win 9", "needs ack N"),
        ("0 < S 0:0(0) win 9 { tcp.colour 1 }", "packet field tcp.colour"),
        ("0 > S 0:0(0) { tcp.checksum bad }", "only inbound packets"),
        ("0 < icmp nonsense", "icmp nonsense: no such type"),
        ("0 < icmp unreachable nonsense", "unreachable nonsense: no such code"),
        ("* < S 0:0(0) win 9", "<star> can only be used with outbound"),
        ("0~1 < S 0:0(0) win 9", "range can only be used with outbound"),
        ("2~1 > S 0:0(0)", "time range is backwards"),
        ("0 hello", "syntax error"),
        ("0 < S 0:0(0) win 9 /* never closed", "is never closed"),
        ("", "no events"),
    ],
)  # fmt: skip
def test_what_cannot_be_mapped_is_refused_by_name(text: str, message: str) -> None:
    error = refused(text, message)
    assert "\n" not in error.report("a.pkt") and error.report("a.pkt").startswith("a.pkt:")


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_commands_exit_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad, foreign = (tmp_path / name for name in ("good.pkt", "bad.pkt", "foreign.pkt"))
    good.write_text(OPEN)
    bad.write_text(OPEN + "+0 > . 1:1(0) ack 1")
    foreign.write_text("--speed=1\n" + OPEN)
    assert main([str(good)]) == 0
    assert main([str(good), str(bad), str(foreign)]) == 1
    assert main([str(good), str(foreign)]) == 2
    assert f"{foreign}:1: option --speed" in capsys.readouterr().err
    assert main([str(good), "-v", "--tcp_delayed_ack=500ms"]) == 0
    assert "outbound sniffed packet:  0.000000 S. 0:0(0) ack 1 win 65535" in capsys.readouterr().out
    assert main([str(tmp_path)]) == 1
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path / "none.pkt")])
    assert ended.value.code == 2
