"""What Debian's memcached 1.6.18 answered, each script to a daemon of its own, byte for byte.

CLOSED at the end: it closed the connection. One thing is left out: after a key that is too long in a get, memcached
drops the replies to what came before in the same read, too.
"""

CLOSED = b"<EOF>"

REPLIES: dict[str, list[tuple[bytes, bytes]]] = {
    "get": [
        (b"get\r\n", b"ERROR\r\n"),
        (b"get \r\n", b"ERROR\r\n"),
        (b"get a\r\n", b"END\r\n"),
        (b"gets\r\n", b"ERROR\r\n"),
        (b"gets\n", b"ERROR\r\n"),
        (b"GET a\r\n", b"ERROR\r\n"),
        (b"get " + b"k" * 250 + b"\r\n", b"END\r\n"),
        (b"get " + b"k" * 251 + b"\r\n", b"CLIENT_ERROR bad command line format\r\n"),
        (
            b"get a " + b"k" * 251 + b"\r\nget a\r\n",
            b"CLIENT_ERROR bad command line format\r\nEND\r\n",
        ),
        (
            b"set a 0 0 1\r\nx\r\nset b 7 0 2\r\nyy\r\nget a b\r\nget b nope a\r\nget nope a nope\r\n"
            + b"gets a\r\ngets b nope a\r\n",
            b"STORED\r\nSTORED\r\nVALUE a 0 1\r\nx\r\nVALUE b 7 2\r\nyy\r\nEND\r\nVALUE b 7 2\r\nyy\r\n"
            + b"VALUE a 0 1\r\nx\r\nEND\r\nVALUE a 0 1\r\nx\r\nEND\r\nVALUE a 0 1 1\r\nx\r\nEND\r\n"
            + b"VALUE b 7 2 2\r\nyy\r\nVALUE a 0 1 1\r\nx\r\nEND\r\n",
        ),
        (
            b"set a 0 0 1\r\nx\r\nget a a a\r\n",
            b"STORED\r\nVALUE a 0 1\r\nx\r\nVALUE a 0 1\r\nx\r\nVALUE a 0 1\r\nx\r\nEND\r\n",
        ),
        (
            b"get " + b" ".join(b"k%d" % i for i in range(40)) + b"\r\n",
            b"END\r\n",
        ),
        (b"  get   a  \r\n", b"END\r\n"),
        (b"get\ta\r\n", b"ERROR\r\n"),
        (b"get a\r \r\n", b"END\r\n"),
        (b"get a\r\r\n", b"END\r\n"),
        (b"get noreply\r\n", b"END\r\n"),
        (b"gets a noreply\r\n", b"END\r\n"),
        (
            b"set a 0 0 300\r\n"
            + b"v" * 300
            + b"\r\nset b 5 0 1100\r\n"
            + b"w" * 1100
            + b"\r\nget a\r\nget b\r\nget a b\r\ngets b a\r\nget b nope\r\n",
            b"STORED\r\nSTORED\r\nVALUE a 0 300\r\n"
            + b"v" * 300
            + b"\r\nEND\r\nVALUE b 5 1100\r\n"
            + b"w" * 1100
            + b"\r\nEND\r\nVALUE a 0 300\r\n"
            + b"v" * 300
            + b"\r\nVALUE b 5 1100\r\n"
            + b"w" * 1100
            + b"\r\nEND\r\nVALUE b 5 1100 2\r\n"
            + b"w" * 1100
            + b"\r\nVALUE a 0 300 1\r\n"
            + b"v" * 300
            + b"\r\nEND\r\nVALUE b 5 1100\r\n"
            + b"w" * 1100
            + b"\r\nEND\r\n",
        ),
    ],
    "set": [
        (b"set\r\n", b"ERROR\r\n"),
        (b"set a\r\n", b"ERROR\r\n"),
        (b"set a 0 0\r\n", b"ERROR\r\n"),
        (b"set a 0 0 1 2 3\r\nx\r\n", b"ERROR\r\nERROR\r\n"),
        (b"set a 0 0 1 foo\r\nx\r\nget a\r\n", b"STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n"),
        (b"set a x 0 1\r\nx\r\n", b"CLIENT_ERROR bad command line format\r\nERROR\r\n"),
        (b"set a 0 x 1\r\nx\r\n", b"CLIENT_ERROR bad command line format\r\nERROR\r\n"),
        (b"set a 0 0 x\r\nx\r\n", b"CLIENT_ERROR bad command line format\r\nERROR\r\n"),
        (b"set a 0 0 -1\r\nx\r\n", b"CLIENT_ERROR bad command line format\r\nERROR\r\n"),
        (b"set a -1 0 1\r\nx\r\n", b"CLIENT_ERROR bad command line format\r\nERROR\r\n"),
        (b"set a 4294967295 0 1\r\nx\r\nget a\r\n", b"STORED\r\nVALUE a 4294967295 1\r\nx\r\nEND\r\n"),
        (b"set a 4294967296 0 1\r\nx\r\nget a\r\n", b"STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n"),
        (b"set " + b"k" * 251 + b" 0 0 1\r\nx\r\n", b"CLIENT_ERROR bad command line format\r\nERROR\r\n"),
        (
            b"set " + b"k" * 250 + b" 0 0 1\r\nx\r\nget " + b"k" * 250 + b"\r\n",
            b"STORED\r\nVALUE " + b"k" * 250 + b" 0 1\r\nx\r\nEND\r\n",
        ),
        (b"set a 0 0 1\r\nxx\r\n", b"CLIENT_ERROR bad data chunk\r\nERROR\r\n"),
        (b"set a 0 0 1\r\nxxxxxxxx\r\nget a\r\n", b"CLIENT_ERROR bad data chunk\r\nERROR\r\nEND\r\n"),
        (b"set a 0 0 3\r\nx\r\n\r\nget a\r\n", b"STORED\r\nVALUE a 0 3\r\nx\r\n\r\nEND\r\n"),
        (b"set a 0 0 1\nx\nget a\n", b"CLIENT_ERROR bad data chunk\r\nERROR\r\n"),
        (b"set a 0 0 1\nx\r\nget a\n", b"STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n"),
        (b"set a 0 0 1\r\nx\nget a\n", b"CLIENT_ERROR bad data chunk\r\nERROR\r\n"),
        (b"set a 0 0 0\r\n\r\nget a\r\n", b"STORED\r\nVALUE a 0 0\r\n\r\nEND\r\n"),
        (b"set a 0 0 1 noreply\r\nx\r\nget a\r\n", b"VALUE a 0 1\r\nx\r\nEND\r\n"),
        (b"set a 0 0 1  noreply \r\nx\r\nget a\r\n", b"VALUE a 0 1\r\nx\r\nEND\r\n"),
        (b"set a 0 0 1 noreply\r\nxx\r\nget a\r\n", b"ERROR\r\nEND\r\n"),
        (b"set  a   0  0  1  \r\nx\r\n  get   a  \r\n", b"STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n"),
        (b" set a 0 0 1\r\ny\r\nget a\r\n", b"STORED\r\nVALUE a 0 1\r\ny\r\nEND\r\n"),
        (b"set a 0 0 1 noreply x\r\nz\r\n", b"ERROR\r\nERROR\r\n"),
        (b"set" + b" x" * 30 + b"\r\n", b"ERROR\r\n"),
        (b"set a 1 2 3 4 noreply\r\nabc\r\n", b"ERROR\r\nERROR\r\n"),
        (b"set noreply\r\n", b"ERROR\r\n"),
        (b"set a b noreply\r\n", b"ERROR\r\n"),
        (b"set a 0 0 noreply\r\n", b""),
        (b"set a 0 0 +1\r\nx\r\n", b"STORED\r\n"),
        (b"set a +1 0 1\r\nx\r\nget a\r\n", b"STORED\r\nVALUE a 1 1\r\nx\r\nEND\r\n"),
        (b"set a 0 +1 1\r\nx\r\n", b"STORED\r\n"),
        (b"set a 0 0 1x\r\nx\r\n", b"CLIENT_ERROR bad command line format\r\nERROR\r\n"),
        (b"set a 1x 0 1\r\nx\r\n", b"CLIENT_ERROR bad command line format\r\nERROR\r\n"),
        (b"set a 0 0 01\r\nx\r\nget a\r\n", b"STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n"),
        (b"set a 007 0 1\r\nx\r\nget a\r\n", b"STORED\r\nVALUE a 7 1\r\nx\r\nEND\r\n"),
        (b"set a 18446744073709551615 0 1\r\nx\r\nget a\r\n", b"STORED\r\nVALUE a 4294967295 1\r\nx\r\nEND\r\n"),
        (
            b"set a 18446744073709551616 0 1\r\nx\r\nget a\r\n",
            b"CLIENT_ERROR bad command line format\r\nERROR\r\nEND\r\n",
        ),
        (b"set a 0 9223372036854775808 1\r\nx\r\n", b"CLIENT_ERROR bad command line format\r\nERROR\r\n"),
        (b"set a 0 0 2147483648\r\nx\r\n", b"CLIENT_ERROR bad command line format\r\nERROR\r\n"),
        (b"set a 0 0 2147483646\r\nx\r\n", b"CLIENT_ERROR bad command line format\r\nERROR\r\n"),
        (b"set a 0 0 4294967297\r\nx\r\nget a\r\n", b"STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n"),
        (b"set a\x01 0 0 1\r\nx\r\nget a\x01\r\n", b"STORED\r\nVALUE a\x01 0 1\r\nx\r\nEND\r\n"),
        (b"set a\tb 0 0 1\r\nx\r\nget a\tb\r\n", b"STORED\r\nVALUE a\tb 0 1\r\nx\r\nEND\r\n"),
        (b"set a 0 0 5\r\nab\ncd\r\nget a\r\n", b"STORED\r\nVALUE a 0 5\r\nab\ncd\r\nEND\r\n"),
        (b"set a 0 0 1\r\nx\r\nset a 9 0 2\r\nyy\r\nget a\r\n", b"STORED\r\nSTORED\r\nVALUE a 9 2\r\nyy\r\nEND\r\n"),
    ],
    "expiry": [
        (b"set a 0 -1 1\r\nx\r\nget a\r\n", b"STORED\r\nEND\r\n"),
        (b"set a 0 99999999999 1\r\nx\r\nget a\r\n", b"STORED\r\nEND\r\n"),
        (b"set a 0 2147483648 1\r\nx\r\nget a\r\n", b"STORED\r\nEND\r\n"),
        (b"set a 0 2147483647 1\r\nx\r\nget a\r\n", b"STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n"),
        (b"set a 0 2592001 1\r\nx\r\nget a\r\n", b"STORED\r\nEND\r\n"),
        (b"set a 0 2592000 1\r\nx\r\nget a\r\n", b"STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n"),
        (b"set a 0 -99999999999 1\r\nx\r\nget a\r\n", b"STORED\r\nEND\r\n"),
        (b"set a 0 1\t 1\r\nx\r\n", b"STORED\r\n"),
        (b"add a 0 -1 1\r\nx\r\nadd a 0 0 1\r\ny\r\nget a\r\n", b"STORED\r\nSTORED\r\nVALUE a 0 1\r\ny\r\nEND\r\n"),
    ],
    "add replace cas": [
        (
            b"add a 0 0 1\r\nz\r\nget a\r\nadd a 0 0 1\r\ny\r\nget a\r\n",
            b"STORED\r\nVALUE a 0 1\r\nz\r\nEND\r\nNOT_STORED\r\nVALUE a 0 1\r\nz\r\nEND\r\n",
        ),
        (
            b"replace nope 0 0 1\r\nz\r\nset nope 0 0 1\r\na\r\nreplace nope 3 0 1\r\nz\r\nget nope\r\n",
            b"NOT_STORED\r\nSTORED\r\nSTORED\r\nVALUE nope 3 1\r\nz\r\nEND\r\n",
        ),
        (
            b"add a 0 0 1 noreply\r\nz\r\nadd a 0 0 1 noreply\r\ny\r\nreplace b 0 0 1 noreply\r\nz\r\nget a b\r\n",
            b"VALUE a 0 1\r\nz\r\nEND\r\n",
        ),
        (b"add a 0 0 1\r\nxx\r\nadd\r\nreplace a\r\n", b"CLIENT_ERROR bad data chunk\r\nERROR\r\nERROR\r\nERROR\r\n"),
        (b"cas a 0 0 1\r\n", b"ERROR\r\n"),
        (b"cas a 0 0 1 1\r\nx\r\n", b"NOT_FOUND\r\n"),
        (b"cas a 0 0 1 x\r\nx\r\n", b"CLIENT_ERROR bad command line format\r\nERROR\r\n"),
        (b"cas a 0 0 1 1 noreply\r\nx\r\n", b""),
        (b"cas a 0 0 1 1 2 3\r\nx\r\n", b"ERROR\r\nERROR\r\n"),
        (
            b"set a 0 0 1\r\nx\r\ncas a 0 0 1 999999\r\ny\r\nget a\r\n",
            b"STORED\r\nEXISTS\r\nVALUE a 0 1\r\nx\r\nEND\r\n",
        ),
        (b"cas a 0 0 1 -1\r\nx\r\n", b"CLIENT_ERROR bad command line format\r\nERROR\r\n"),
        (b"cas noreply\r\n", b"ERROR\r\n"),
        (
            b"set a 0 0 1\r\nx\r\ngets a\r\ncas a 5 0 2 1\r\nyy\r\ngets a\r\ncas a 0 0 1 1\r\nz\r\n"
            + b"gets a\r\ncas a 0 0 1 2 noreply\r\nw\r\ngets a\r\n",
            b"STORED\r\nVALUE a 0 1 1\r\nx\r\nEND\r\nSTORED\r\nVALUE a 5 2 2\r\nyy\r\nEND\r\nEXISTS\r\n"
            + b"VALUE a 5 2 2\r\nyy\r\nEND\r\nVALUE a 0 1 3\r\nw\r\nEND\r\n",
        ),
        (
            b"set a 0 0 1\r\nx\r\ncas a 0 0 1 18446744073709551615\r\ny\r\ncas a 0 0 1 18446744073709551616\r\ny\r\n",
            b"STORED\r\nEXISTS\r\nCLIENT_ERROR bad command line format\r\nERROR\r\n",
        ),
        (
            b"set a 0 0 1\r\nx\r\ncas a 0 0 1 1\r\nyy\r\nget a\r\n",
            b"STORED\r\nCLIENT_ERROR bad data chunk\r\nERROR\r\nVALUE a 0 1\r\nx\r\nEND\r\n",
        ),
        (
            b"set a 0 0 1\r\nx\r\ngets a\r\nset b 0 0 1\r\ny\r\ngets a b\r\nflush_all\r\nset a 0 0 1\r\n"
            + b"x\r\ngets a\r\nset a 0 0 2\r\n10\r\ngets a\r\nincr a 5\r\ngets a\r\nadd a 0 0 1\r\nx\r\n"
            + b"gets a\r\n cas a 0 0 1 3\r\nx\r\ngets a\r\ndelete a\r\n set a 0 0 1\r\nx\r\ngets a\r\n",
            b"STORED\r\nVALUE a 0 1 1\r\nx\r\nEND\r\nSTORED\r\nVALUE a 0 1 1\r\nx\r\nVALUE b 0 1 2\r\n"
            + b"y\r\nEND\r\nOK\r\nSTORED\r\nVALUE a 0 1 4\r\nx\r\nEND\r\nSTORED\r\nVALUE a 0 2 5\r\n10\r\n"
            + b"END\r\n15\r\nVALUE a 0 2 6\r\n15\r\nEND\r\nNOT_STORED\r\nVALUE a 0 2 6\r\n15\r\nEND\r\n"
            + b"EXISTS\r\nVALUE a 0 2 6\r\n15\r\nEND\r\nDELETED\r\nSTORED\r\nVALUE a 0 1 7\r\nx\r\nEND\r\n",
        ),
    ],
    "delete": [
        (
            b"delete nope\r\nset a 0 0 1\r\nx\r\ndelete a\r\nget a\r\ndelete a\r\n",
            b"NOT_FOUND\r\nSTORED\r\nDELETED\r\nEND\r\nNOT_FOUND\r\n",
        ),
        (b"set a 0 0 1\r\nx\r\ndelete a 0\r\n", b"STORED\r\nDELETED\r\n"),
        (
            b"set a 0 0 1\r\nx\r\ndelete a 1\r\ndelete a 0 noreply\r\nget a\r\n",
            b"STORED\r\nCLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\nEND\r\n",
        ),
        (b"set a 0 0 1\r\nx\r\ndelete a noreply\r\nget a\r\n", b"STORED\r\nEND\r\n"),
        (b"delete\r\n", b"ERROR\r\n"),
        (b"delete a b c\r\n", b"CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n"),
        (b"delete a b c d\r\n", b"ERROR\r\n"),
        (b"delete " + b"k" * 251 + b"\r\n", b"CLIENT_ERROR bad command line format\r\n"),
        (b"delete a foo\r\n", b"CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n"),
        (b"delete a 0 foo\r\n", b"CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n"),
        (b"delete noreply\r\n", b"NOT_FOUND\r\n"),
        (b"delete a noreply noreply\r\n", b""),
        (b"delete a 0 0\r\n", b"CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n"),
    ],
    "incr decr": [
        (b"incr nope 1\r\ndecr nope 1\r\n", b"NOT_FOUND\r\nNOT_FOUND\r\n"),
        (
            b"set n 0 0 2\r\n10\r\nincr n 1\r\ndecr n 100\r\nget n\r\n",
            b"STORED\r\n11\r\n0\r\nVALUE n 0 2\r\n0 \r\nEND\r\n",
        ),
        (
            b"set n 5 0 2\r\n10\r\ndecr n 1\r\nget n\r\nincr n 18446744073709551615\r\nget n\r\nincr n 99\r\nget n\r\n",
            b"STORED\r\n9\r\nVALUE n 5 2\r\n9 \r\nEND\r\n8\r\nVALUE n 5 2\r\n8 \r\nEND\r\n107\r\n"
            + b"VALUE n 5 3\r\n107\r\nEND\r\n",
        ),
        (b"incr n\r\n", b"ERROR\r\n"),
        (b"incr n x\r\n", b"CLIENT_ERROR invalid numeric delta argument\r\n"),
        (b"incr n -1\r\n", b"CLIENT_ERROR invalid numeric delta argument\r\n"),
        (b"incr n 18446744073709551616\r\n", b"CLIENT_ERROR invalid numeric delta argument\r\n"),
        (b"set n 0 0 1\r\n7\r\nincr n 1 2\r\n", b"STORED\r\n8\r\n"),
        (b"incr n 1 2 3\r\n", b"ERROR\r\n"),
        (b"set n 0 0 1\r\n7\r\nincr n 1 noreply\r\nget n\r\n", b"STORED\r\nVALUE n 0 1\r\n8\r\nEND\r\n"),
        (
            b"set n 0 0 1\r\nx\r\nincr n 1\r\ndecr n 1\r\n",
            b"STORED\r\nCLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
            + b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
        ),
        (b"set n 0 0 2\r\n1 \r\nincr n 1\r\nget n\r\n", b"STORED\r\n2\r\nVALUE n 0 2\r\n2 \r\nEND\r\n"),
        (b"set n 0 0 2\r\n 1\r\nincr n 1\r\n", b"STORED\r\n2\r\n"),
        (
            b"set n 0 0 2\r\n1x\r\nincr n 1\r\n",
            b"STORED\r\nCLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
        ),
        (
            b"set n 0 0 3\r\n-12\r\nincr n 1\r\n",
            b"STORED\r\nCLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
        ),
        (
            b"set n 0 0 20\r\n18446744073709551615\r\nincr n 1\r\nget n\r\n",
            b"STORED\r\n0\r\nVALUE n 0 20\r\n0                   \r\nEND\r\n",
        ),
        (
            b"set n 0 0 20\r\n18446744073709551616\r\nincr n 1\r\nget n\r\n",
            b"STORED\r\nCLIENT_ERROR cannot increment or decrement non-numeric value\r\nVALUE n 0 20\r\n"
            + b"18446744073709551616\r\nEND\r\n",
        ),
        (
            b"set n 0 0 21\r\n000000000000000000012\r\nincr n 1\r\nget n\r\n",
            b"STORED\r\n13\r\nVALUE n 0 21\r\n13                   \r\nEND\r\n",
        ),
        (
            b"set n 0 0 0\r\n\r\nincr n 1\r\n",
            b"STORED\r\nCLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
        ),
        (b"incr " + b"k" * 251 + b" 1\r\n", b"CLIENT_ERROR bad command line format\r\n"),
        (b"set n 0 0 5\r\n00012\r\nincr n 1\r\nget n\r\n", b"STORED\r\n13\r\nVALUE n 0 5\r\n13   \r\nEND\r\n"),
        (b"set n 0 0 2\r\n+5\r\nincr n 1\r\n", b"STORED\r\n6\r\n"),
        (b"set n 0 0 1\r\n1\r\nincr n +5\r\n", b"STORED\r\n6\r\n"),
        (b"incr n 1x\r\n", b"CLIENT_ERROR invalid numeric delta argument\r\n"),
        (b"incr noreply\r\n", b"ERROR\r\n"),
        (b"incr a noreply\r\n", b""),
        (
            b"set n 0 0 1\r\n9\r\nincr n 1\r\nget n\r\nincr n 0\r\ndecr n 0\r\n",
            b"STORED\r\n10\r\nVALUE n 0 2\r\n10\r\nEND\r\n10\r\n10\r\n",
        ),
        (
            b"set n 0 0 300\r\n5" + b" " * 299 + b"\r\nincr n 7\r\nget n\r\n",
            b"STORED\r\n12\r\nVALUE n 0 300\r\n12" + b" " * 298 + b"\r\nEND\r\n",
        ),
        (b"set n 0 -1 1\r\n9\r\nincr n 1\r\n", b"STORED\r\nNOT_FOUND\r\n"),
    ],
    "rest": [
        (b"\r\n", b"ERROR\r\n"),
        (b"foo\r\n", b"ERROR\r\n"),
        (b"foo", b""),
        (b"\n", b"ERROR\r\n"),
        (b"flush_all\r\n", b"OK\r\n"),
        (b"flush_all 0\r\n", b"OK\r\n"),
        (b"flush_all noreply\r\n", b""),
        (b"flush_all 0 noreply\r\n", b""),
        (b"flush_all x\r\n", b"CLIENT_ERROR invalid exptime argument\r\n"),
        (b"flush_all x noreply\r\n", b""),
        (b"flush_all -1\r\n", b"OK\r\n"),
        (b"flush_all 1 2 3\r\n", b"ERROR\r\n"),
        (b"flush_all 1 2\r\n", b"OK\r\n"),
        (b"flush_all 1 noreply x\r\n", b"ERROR\r\n"),
        (
            b"set a 0 0 1\r\nx\r\nflush_all\r\nget a\r\nadd a 0 0 1\r\ny\r\nget a\r\n",
            b"STORED\r\nOK\r\nEND\r\nSTORED\r\nVALUE a 0 1\r\ny\r\nEND\r\n",
        ),
        (b"set a 0 0 1\r\nx\r\nflush_all 100\r\nget a\r\n", b"STORED\r\nOK\r\nVALUE a 0 1\r\nx\r\nEND\r\n"),
        (b"version\r\n", b"VERSION 1.6.18\r\n"),
        (b"version foo\r\n", b"VERSION 1.6.18\r\n"),
        (b"version\n", b"VERSION 1.6.18\r\n"),
        (b"version\r\r\n", b"ERROR\r\n"),
        (b"version" + b" " * 2100 + b"\r\n", b"VERSION 1.6.18\r\n"),
        (b"verbosity\r\n", b"ERROR\r\n"),
        (b"verbosity 1\r\n", b"OK\r\n"),
        (b"verbosity 1 noreply\r\n", b""),
        (b"verbosity noreply\r\n", b""),
        (b"verbosity 0 1 2\r\n", b"ERROR\r\n"),
        (b"verbosity x\r\n", b"CLIENT_ERROR bad command line format\r\n"),
        (b"quit\r\n", CLOSED),
        (b"quit foo\r\nversion\r\n", CLOSED),
        (b"version\r\nquit\r\nversion\r\n", b"VERSION 1.6.18\r\n" + CLOSED),
        (b"stats foo\r\n", b"ERROR\r\n"),
        (b"stats reset\r\n", b"RESET\r\n"),
        (b"stats  reset\r\n", b"RESET\r\n"),
        (b"stats reset noreply\r\n", b"RESET\r\n"),
        (b"stats noreply\r\n", b"ERROR\r\n"),
        (b"x" * 2047 + b"\r\n", b"ERROR\r\n"),
        (b"x" * 2048, b""),
        (b"x" * 2049, CLOSED),
        (b"get" + b" k" * 3000 + b" \r\nversion\r\n", b"END\r\nVERSION 1.6.18\r\n"),
        (b"get" + b" k" * 20000 + b" ", b""),
        (b" " * 3000, CLOSED),
        (b" " * 99 + b"get" + b" k" * 2000 + b" ", b""),
        (b" " * 101 + b"get" + b" k" * 2000 + b" ", CLOSED),
        (b"version " * 1000, CLOSED),
        (b"set a 0 0 5\r\nab", b""),
    ],
}
