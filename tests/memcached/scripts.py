"""Scripts written by hand, for what the generated ones reach too seldom; asked fenced, each command by itself."""

KEY, LONG = b"k" * 250, b"k" * 251
BIG = 1 << 20  # beyond -I, which is 1m

# Keys are the scripts' own. `|` is a line end.
# A line of `+` goes on with the one before.
_LINES = rb"""
get|gets|bget|get |gat|gats|gat 0|gats 0|delete|incr|decr|touch|verbosity|set|cas|me|mg|ms|md|ma
get LONG
gets LONG
bget LONG
gat 0 LONG
gats 0 LONG
get LONG a
gets LONG a
bget LONG a
gat 0 LONG a
gats 0 LONG a
get a LONG
gat 0 a LONG
get KEY|gets KEY|bget KEY|delete LONG|incr LONG 1|decr LONG 1|touch LONG 0|me LONG|mg LONG
md LONG|ma LONG|mg LONG v|set LONG 0 0 1|ms LONG 1|set KEY 0 0 1|x|get KEY|me KEY|mg KEY k|delete KEY
set s1 5 0 2|10|gets s1|gat x s1|gats x s1|gat x s1 s1|gats x s1 s1|gat x|gats x|gat 0 s1|gats 0 s1|gat 0 s1 s1
+|gats 0 s1 s1
bget s1|bget s1 s1|get s1 s1|gets s1 s1|gat -1 s1|get s1
set n1 0 0 2|10|incr n1 5|decr n1 1|incr n1 x|decr n1 x|incr n1 1 2 3|decr n1 1 2 3|incr n1 1 noreply
+|decr n1 1 noreply
incr noreply|decr noreply|touch noreply|incr n1 1 2 noreply|decr n1 1 2 noreply|touch n1 0 1 noreply|touch n1 0 1 2
ma n1 MI q|ma n1 b q|ma n1 M+ q|ma n1 MD q v|ma n1 M- q c|ma n1 D1 q t|ms bjE= 1 b|1|ma bjE= b q
+|ma n1 T0 L P J1 q k O|ms n1 1 MR q|5
ms w2 1|x|md w2 Lx q P k
set w1 0 0 1|w|incr w1 1|decr w1 1|ma w1|ma w1 q|ma w1 MD|incr none 1|decr none 1
delete w1 5|delete w1 5 noreply|delete w1 0 noreply|delete w1|delete noreply|delete w1 1 2 noreply|delete w1 1 2 3
touch n1 100|touch none 0|touch n1 x|touch n1 0 noreply|touch n1 x noreply
verbosity 0|verbosity x|verbosity 0 noreply|verbosity x noreply|verbosity 0 1 2|verbosity 0 1 noreply
flush_all 1000000|flush_all x|flush_all 1 2 3|flush_all 0 noreply|flush_all noreply|flush_all x noreply
+|flush_all 1 2 noreply
cache_memlimit 64|cache_memlimit 4|cache_memlimit x|cache_memlimit|cache_memlimit 100000000000
+|cache_memlimit 64 noreply
cache_memlimit 64 0 noreply|cache_memlimit x noreply|cache_memlimit 4 noreply|cache_memlimit 1 2 3
shutdown|shutdown graceful|shutdown x|version|version x|nonsense|GET a|get	a| get s1|
set c1 0 0 1|x noreply|set c1 0 0 1 noreply|xyz|set c1 0 0 1|xyz|add c2 0 0 1|xyz|replace c1 0 0 1|xyz
append c1 0 0 1|xyz|prepend c1 0 0 1|xyz|cas c1 0 0 1 1|xyz|ms c1 1|xyz|ms c1 1 q|xyz|ms c1 0|x|ms c1 3|x
mg a v v|mg a z|mg a Tx|mg a Nx|mg a Rx|mg a Cx|mg a Dx|mg a Jx|mg a M|mg a MSS|mg ! b|mg a OOPAQUE|mg a Fx|mg a Tx k
mg a v k OOPAQUE|mg a s E5|mg a N0 O1|mg a t b z
ms a 1 v v|x|ms a 1 z|x|ms a 1 Tx|x|ms a 1 Nx|x|ms a 1 Rx|x|ms a 1 Cx|x|ms a 1 Dx|x|ms a 1 Jx|x|ms a 1 M|x
ms a 1 MX|x|ms ! 1 b|x|ms a 1 OOPAQUE|x|ms a 1 Fx|x|ms a 1 Cx Fx|x|ms a 1 k OOPAQUE|x|ms a 1 k MX|x|ms a 1 k Cx|x
ms a x|ms a -1|ms a 1 2|x|ms a
md a z|md a v v|md a Tx|md a Nx|md a Rx|md a Cx|md a Dx|md a Jx|md a M|md a Fx|md ! b|md a OOPAQUE
+|md a k OOPAQUE|md a k z
ma a z|ma a v v|ma a Tx|ma a Nx|ma a Rx|ma a Cx|ma a Dx|ma a Jx|ma a M|ma a Fx|ma ! b|set n2 0 0 1|5
+|ma n2 OOPAQUE|ma n2 k OOPAQUE|ma n2 k MX
ma a MX|ma a k z|mg a MANY|ms a 1 MANY|x|md a MANY|ma a MANY
ms YmI= 2 b|bb|me YmI= b|me YmJi b|me ! b|me bb|me LONG b|mg YmI= b k v s t f c h l O1|mg YmI= b k q|md YmI= b k O1 q
set v1 7 0 5|stale|md v1 I T30|mg v1 v|mg v1 v|mg v1|md v1 I|mg v1|mg v1|mg z1 N30|mg z1 v|mg z1|mg z1 N30 v
+|mg z2 N0 v
ms r1 1 T30|r|mg r1 R60|mg r1 R60|ms r2 1 T30|r|mg r2 R60 v|mg r2 R60 v|mg r2 R10 v|mg r2 R60 T90 t v
ms YmI= 1 b|9|ma YmI= b v|me YmI= b|ma YmI= b v|me YmI= b|ms YmI= 1 MP b|9|me YmI= b|ms YmM= 1 b|x|ms YmM= 1 b
+|y|me YmM= b
mg YmQ= b N0 k|me YmQ= b|ma YmU= b N0 |me YmU= b|ms YmY= 1 b|x|touch bf 0|me YmY= b|gat 0 bf|md YmY= I b|me YmY= b
ms i1 1 T0|7|md i1 I|ma i1 MD v|mg i1 v k|ma i1 D9 v|mg i1 v k
set e1 -9223372036854775809 0 1|7|get e1|incr e1 -9223372036854775809|incr e1 -9223372036854775808
+|incr e1 -18446744073709551615|incr e1 -18446744073709551616|ma e1 D-18446744073709551615 v
stats bogus|stats noreply|stats reset noreply|stats detail
"""


def _commands(line: bytes) -> list[bytes]:
    """The value of a storage command belongs to it."""
    made: list[bytes] = []
    for text in line.split(b"|"):
        for name, word in ((b"LONG", LONG), (b"KEY", KEY), (b"OOPAQUE", b"O" * 33), (b"MANY", b"v " * 30)):
            text = text.replace(name, word)
        if made and _awaits(made[-1]):
            made[-1] += text + b"\r\n"
        else:
            made.append(text + b"\r\n")
    return made


def _awaits(command: bytes) -> bool:
    """It is the line of a storage command whose length is a number, and whose value is not there."""
    words = command.split()
    stores = command.count(b"\n") == 1 and words[:1] and words[0] in (b"set add replace append prepend cas ms".split())
    length = words[2:3] if words[:1] == [b"ms"] else words[4:5]
    return bool(stores and length and length[0].isdigit() and len(words[1]) <= len(KEY))


FIRST_TEXT = [
    _commands(
        b"set u1 0 0 1|x|cas u1 0 0 1 1|y|ms u2 1|x|ms u2 1 C3 O1|x|md u2 C4 k"
        b"|ms u3 1|x|md u3 C5 q|ms u4 1|5|ma u4 C6 q O1"
    )
]
"""The first that a server gets: it knows the uniques."""
TEXT_SCRIPTS = [_commands(line) for line in _LINES.strip(b"\n").replace(b"\n+", b"").split(b"\n")]
TEXT_SCRIPTS += [
    [
        *(b"set large 0 0 1\r\nx\r\n", b"%b large 0 0 %d%b\r\n%b\r\n" % (name, BIG, unique, b"v" * BIG)),
        b"get large\r\n",
    ]
    for name, unique in (*((name, b"") for name in b"set add replace append prepend".split()), (b"cas", b" 1"))
]
TEXT_SCRIPTS += [[b"ms large %d O1 k\r\n%b\r\n" % (BIG, b"v" * BIG)]]
# What memcached keeps in pieces is no number; the item's header takes 60 bytes and its key.
TEXT_SCRIPTS += [
    [b"set %b 0 0 %d\r\n%b\r\n" % (key, size, b"1".ljust(size)), b"incr %b 1\r\n" % key, b"ma %b C99\r\n" % key]
    for key, size in ((b"p", 524_228), (b"q", 524_229))
]
TEXT_SCRIPTS += [[b"set e2 0 0 4\r\n12\0x\r\n", b"mn\r\n", b"incr e2 1\r\n", b"incr e2 1\0x\r\n", b"get e2\r\n"]]
