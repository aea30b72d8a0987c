"""ICMP messages against dpkt."""

import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netapp.wire import icmp


@given(st.binary(max_size=60))
def test_parse(data: bytes) -> None:
    if len(data) < 8:
        with pytest.raises(ValueError, match="truncated"):
            icmp.parse(data)
        return
    fields = icmp.parse(data)
    # dpkt goes on into the body by type: one that it does not know leaves that alone.
    theirs = dpkt.icmp.ICMP(b"\xff" + data[1:])
    assert (fields["type"], fields["code"], fields["checksum"]) == (data[0], theirs.code, theirs.sum)
    assert fields["rest"].to_bytes(4, "big") + fields["payload"] == bytes(theirs.data)
    assert fields["valid"] == (dpkt.in_cksum(data) == 0)


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.binary(max_size=60))
def test_build_echo(identifier: int, sequence: int, payload: bytes) -> None:
    built = icmp.build(icmp.ECHO, 0, identifier << 16 | sequence, payload)
    echo = dpkt.icmp.ICMP.Echo(id=identifier, seq=sequence, data=payload)
    assert built == bytes(dpkt.icmp.ICMP(type=8, data=echo))
    assert icmp.parse(built)["valid"]


def test_summary() -> None:
    echo = icmp.build(icmp.ECHO, 0, 7 << 16 | 3, b"abc")
    assert icmp.summary(echo) == "ICMP echo request, id 7, seq 3, length 11"
    assert icmp.summary(echo[:-1] + b"x") == "ICMP echo request, id 7, seq 3, length 11 [bad checksum]"
    assert icmp.summary(icmp.build(icmp.UNREACHABLE, 3)) == "ICMP unreachable, code 3, length 8"
    assert icmp.summary(icmp.build(200, 1)) == "ICMP type 200, code 1, length 8"
    assert icmp.summary(b"1234567") == "ICMP [truncated]"
