"""An ICMP error arrives. Nothing that ICMP says ends a connection that is established: anybody can send it."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

import errno

from cython.cimports.libc.stdint import uint16_t, uint32_t
from cython.cimports.netapp.net.address import format_address
from cython.cimports.netapp.tcp.connection import (
    ESTABLISHED,
    SYN_RECEIVED,
    SYN_SENT,
    TIMING,
    UP_SOFT_ERROR,
    Connection,
)
from cython.cimports.netapp.tcp.extras import extras_of
from cython.cimports.netapp.tcp.receive import deliver, finish
from cython.cimports.netapp.tcp.sequence import seq_sub
from cython.cimports.netapp.tcp.touched import touch
from cython.cimports.netapp.wire.icmp import (
    CODE_FRAGMENTATION_NEEDED,
    CODE_PORT_UNREACHABLE,
    CODE_PROTOCOL_UNREACHABLE,
    TYPE_PARAMETER_PROBLEM,
    TYPE_TIME_EXCEEDED,
    TYPE_UNREACHABLE,
)

# By the code of TYPE_UNREACHABLE (RFC 792; RFC 1122, 3.2.2.1).
_UNREACHABLE = {
    0: (errno.ENETUNREACH, "network unreachable"),
    1: (errno.EHOSTUNREACH, "host unreachable"),
    2: (errno.ENOPROTOOPT, "protocol unreachable"),
    3: (errno.ECONNREFUSED, "port unreachable"),
    5: (errno.EOPNOTSUPP, "source route failed"),
    6: (errno.ENETUNREACH, "network unknown"),
    7: (errno.EHOSTDOWN, "host unknown"),
    9: (errno.ENETUNREACH, "network prohibited"),
    10: (errno.EHOSTUNREACH, "host prohibited"),
    11: (errno.ENETUNREACH, "network unreachable for this type of service"),
    12: (errno.EHOSTUNREACH, "host unreachable for this type of service"),
    13: (errno.EHOSTUNREACH, "communication prohibited"),
}


def _as_exception(of_type: cython.int, code: cython.int, reporter: str) -> OSError:
    if of_type == TYPE_UNREACHABLE:
        number, text = _UNREACHABLE.get(code, (errno.EHOSTUNREACH, f"unreachable, code {code}"))
    elif of_type == TYPE_TIME_EXCEEDED:
        number, text = errno.EHOSTUNREACH, "time to live exceeded"
    else:
        number, text = errno.EPROTO, "parameter problem"
    return OSError(number, f"{text}, says {reporter}")


@cython.cfunc
@cython.exceptval(-1, check=False)
def _too_big(c: Connection, mtu: uint32_t) -> cython.int:
    mss: uint32_t = mtu - 40
    if c.state < ESTABLISHED or mss >= c.snd_mss:
        return 0
    c.tcp.counts.icmp_mtu += 1
    c.snd_mss = cython.cast(uint16_t, mss)
    # RFC 1191, 6.5: what was too big is sent again at once, in smaller segments; the congestion window stays.
    c.snd_next_cut = c.snd_una
    c.cut_view = cython.NULL
    c.flags &= ~TIMING
    touch(c)
    return 0


def error_arrives(c, error, seq, now):
    # RFC 5927, 4.1: only of what was sent and is not acknowledged can somebody on the way speak.
    if seq_sub(seq, c.snd_una) >= seq_sub(c.snd_nxt, c.snd_una):
        c.tcp.counts.icmp_implausible += 1
        return 0
    if error.type == TYPE_UNREACHABLE and error.code == CODE_FRAGMENTATION_NEEDED:
        _too_big(c, error.mtu)
        return 1
    if error.type != TYPE_UNREACHABLE and error.type != TYPE_TIME_EXCEEDED and error.type != TYPE_PARAMETER_PROBLEM:
        # RFC 9293, 3.9.2.2 (MUST-55): source quench above all.
        return 0
    if (
        (c.state == SYN_SENT or c.state == SYN_RECEIVED)
        and error.type == TYPE_UNREACHABLE
        and (error.code == CODE_PROTOCOL_UNREACHABLE or error.code == CODE_PORT_UNREACHABLE)
    ):
        # SHLD-26. Once established a hard error counts as a soft one (RFC 5927, 5.2).
        c.tcp.counts.icmp_hard += 1
        finish(c, ConnectionRefusedError(errno.ECONNREFUSED, f"refused, says {format_address(error.reporter)}"))
        deliver(c)
        return 1
    # MUST-56: soft errors abort nothing; SHLD-25: the user hears of them.
    c.tcp.counts.icmp_soft += 1
    if c.handler is not None:
        extras_of(c).soft_error = _as_exception(error.type, error.code, format_address(error.reporter))
        c.flags |= UP_SOFT_ERROR
        deliver(c)
    return 1
