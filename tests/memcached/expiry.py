"""Scripts of two parts, between which some seconds pass; asked fenced, each command by itself.

`@2` is the time of day in two seconds. What expires in 2 seconds has expired in the second part, what expires in
100 has not: Debian's memcached's clock ticks by itself, once a second. Keys are the scripts' own.
"""

import struct

from tests.memcached.binary import NOOP, request

WAIT = 4  # seconds

# A line of `==` is between the parts, an empty one between scripts.
_SCRIPTS = rb"""
set a1 0 2 1|x
set a2 0 100 1|x
set a3 0 2592000 1|x
set a4 0 0 1|x
get a1 a2 a3 a4
==
get a1 a2 a3 a4
gets a1
mg a1 v t
mg a2 t
mg a4 t

set b1 0 @2 1|x
set b2 0 @100 1|x
set b3 0 @-2 1|x
set b4 0 2592001 1|x
set b5 0 -1 1|x
get b1 b2 b3 b4 b5
==
get b1 b2 b3 b4 b5

set c1 0 2 1|x
set c2 0 2 1|x
set c3 0 2 1|x
set c4 0 100 1|x
set c5 0 100 1|x
set c6 0 0 1|x
set c7 0 2 1|x
touch c1 0
touch c2 100
touch c3 @100
touch c4 2
touch c5 -1
touch c6 @2
get c1 c2 c3 c4 c5 c6 c7
==
touch c7 100
get c1 c2 c3 c4 c5 c6 c7
touch c5 100

set d1 0 2 1|x
set d2 0 2 1|x
set d3 0 100 1|x
set d4 0 2 1|x
gat 100 d1
gats @100 d2
gat 2 d3
==
gat 100 d4
get d1 d2 d3 d4
gats 100 d3

set e1 0 2 1|x
set e2 0 2 1|x
set e3 0 2 1|x
set e4 0 2 1|x
set e5 0 2 2|10
set e6 0 2 1|x
set e7 0 2 2|10
==
add e1 0 0 1|y
replace e2 0 0 1|y
append e3 0 0 1|y
prepend e4 0 0 1|y
incr e5 1
delete e6
decr e7 1
get e1 e2 e3 e4 e5 e6 e7
incr e5 1
cas e6 0 0 1 1|y

set f1 0 2 1|x
set f2 0 2 1|x
set f3 0 2 2|10
set f4 0 2 2|10
set f5 0 2 1|x
append f1 0 100 1|y
prepend f2 0 100 1|y
incr f3 1
incr f4 100
replace f5 0 100 1|y
get f1 f2 f3 f4 f5
==
get f1 f2 f3 f4 f5

ms g1 1 T2|x
ms g2 1 T100|x
ms g3 1 T-1|x
ms g4 1 T0|x
ms g5 1|x
mg g1 v t
mg g2 v t
mg g3 v t
mg g4 v t
mg g5 v t
==
mg g1 v t
mg g2 v t
mg g3 v t
mg g4 v t
mg g5 v t h l

ms h1 1 T2|x
ms h2 1 T100|x
ms h3 1|x
ms h4 1 T2|x
mg h1 T100 v t
mg h2 T2 v t
mg h3 T2 t
mg h4 T0 t
==
mg h1 v t
mg h2 v t
mg h3 v t
mg h4 v t

mg i1 N2 v t
mg i1 v t
mg i2 N100 v t
mg i2 v t
mg i3 N0 v t
mg i4 N2 v
ms i4 1 T100|x
==
mg i1 N100 v t
mg i1 v t
mg i2 v t
ms i2 1|x
mg i2 v t
mg i3 v t
mg i4 v t

ms j1 1 T2|x
ms j2 1 T100|x
ms j3 1 T32|x
ms j4 1 T33|x
mg j1 R30 v t
mg j1 R30 v t
mg j2 R30 v t
mg j3 R30 v t
mg j4 R30 v t
==
mg j1 R30 v t
mg j2 R30 v t
mg j2 R200 v t
mg j2 R200 v t
mg j3 R30 v t
mg j3 R30 v t
mg j4 R30 v t
ms j3 1 T100|y
mg j3 R30 v t

ms k1 1 T100|x
ms k2 1 T100|x
ms k3 1|x
ms k4 1 T2|x
md k1 I T2
md k2 I T100
md k3 I
md k4 I
mg k1 v t
mg k2 v t
mg k3 v t
mg k4 v t
==
mg k1 v t
mg k2 v t
mg k3 v t
mg k4 v t
ms k2 1 T100|y
mg k2 v t

ma l1 N2 J5 v t
ma l2 N100 J5 v t
ms l3 2 T2|10
ms l4 2 T100|10
ma l3 T100 v t
ma l4 T2 v t
==
ma l1 v t
ma l1 N100 J7 v t
ma l2 v t
ma l3 v t
ma l4 v t

set m1 0 2 1|x
ms m2 1 T2 MA I|x
ms m3 1 T2 ME|x
ms m3 1 T100 ME|y
ms m4 1 T2|x
ms m4 1 T100 MA|y
ms m5 1 T2|x
ms m5 1 T100 MR|y
==
me m1
get m1 m2 m3 m4 m5
ms m1 1 MR|x
ms m1 1 ME|x
md m3
get m1
"""
# Each for servers of its own, as it concerns every item.
_FLUSHES = rb"""
set a 0 0 1|x
set b 0 100 1|x
flush_all 2
set c 0 0 1|x
get a b c
add a 0 0 1|y
==
get a b c
add a 0 0 1|y
set c 0 0 1|z
get a b c

set a 0 0 1|x
flush_all @2
get a
==
get a
set a 0 0 1|x
get a

set a 0 0 1|x
flush_all 100
get a
==
get a
set b 0 0 1|x
get a b

set a 0 0 1|x
flush_all -1
get a
set b 0 0 1|x
get a b
==
get a b

set a 0 0 1|x
flush_all
get a
set a 0 0 1|y
get a
==
get a
flush_all noreply
get a
set a 0 0 1|z
get a

set a 0 0 2|10
flush_all 2 noreply
get a
==
incr a 1
mg a v
touch a 0
delete a
append a 0 0 1|x
ms a 1 MR|x
mg a N0 v
"""

Parts = tuple[list[bytes], list[bytes]]


def _scripts(text: bytes) -> list[Parts]:
    found = []
    for script in text.strip().split(b"\n\n"):
        first, second = (
            [line.replace(b"|", b"\r\n") + b"\r\n" for line in part.strip().split(b"\n")]
            for part in script.split(b"==\n")
        )
        found.append((first, second))
    return found


SCRIPTS, FLUSHES = _scripts(_SCRIPTS), _scripts(_FLUSHES)

_SET, _COUNT, _TOUCH = struct.Struct(">II"), struct.Struct(">QQI"), struct.Struct(">I")


def _looks(*keys: bytes) -> list[bytes]:
    return [request(0x0C, key, opaque=number) for number, key in enumerate(keys)] + [request(NOOP)]


BINARY: list[Parts] = [
    (
        [
            *(request(1, b"A%d" % after, _SET.pack(5, after), b"x") for after in (0, 2, 100, 2592001)),
            *(request(1, b"B%d" % after, _SET.pack(5, 2), b"x") for after in (0, 100)),
            *(request(0x1C, b"B%d" % after, _TOUCH.pack(after)) for after in (0, 100)),
            *(request(1, b"C%d" % after, _SET.pack(5, 100), b"x") for after in (2, 100)),
            *(request(0x1D, b"C%d" % after, _TOUCH.pack(after)) for after in (2, 100)),
            *(request(5, b"D%d" % after, _COUNT.pack(1, 10, after)) for after in (2, 100, 0xFFFFFFFF)),
            *_looks(b"A0", b"A2", b"A100", b"A2592001", b"B0", b"C2"),
        ],
        [
            *_looks(b"A0", b"A2", b"A100", b"B0", b"B100", b"C2", b"C100", b"D2", b"D100"),
            request(2, b"A2", _SET.pack(0, 0), b"y"),
            request(3, b"C2", _SET.pack(0, 0), b"y"),
            request(0x0E, b"D2", b"", b"y"),
            request(4, b"D2"),
            request(0x1C, b"D2", _TOUCH.pack(0)),
            request(5, b"D2", _COUNT.pack(1, 10, 0)),
            *_looks(b"A2", b"C2", b"D2"),
        ],
    )
]
BINARY_FLUSHES: list[Parts] = [
    (
        [request(1, b"a", _SET.pack(0, 0), b"x"), request(8, extras=_TOUCH.pack(after)), *_looks(b"a")],
        [*_looks(b"a"), request(2, b"a", _SET.pack(0, 0), b"y"), *_looks(b"a")],
    )
    for after in (0, 2, 100)
]
