"""A place in a chain from which a protocol's fields, lines and tokens are read, across views.

Lifetime: the chain must not be advanced or emptied while a cursor is on it; `reset` puts the cursor on another chain.
"""
from cython cimport final
from libc.stdint cimport int64_t, uint8_t, uint64_t
from netapp.iobuf.chain cimport Chain
from netapp.iobuf.keys cimport KeyTable
from netapp.iobuf.pool cimport iobuf_t

cdef extern from *:
    """
    /* The number of bytes of a little-endian word before the first space; 8: there is none. */
    static inline unsigned netapp_before_space(uint64_t word) {
        uint64_t t = word ^ 0x2020202020202020u;
        uint64_t zero = (t - 0x0101010101010101u) & ~t & 0x8080808080808080u;
        return zero ? __builtin_ctzll(zero) >> 3 : 8;
    }
    """
    unsigned int before_space "netapp_before_space"(uint64_t word) noexcept nogil


@final
cdef class Cursor:
    cdef Chain chain
    cdef iobuf_t* view                       # NULL: at the end
    cdef uint8_t* next                       # the next byte, in view
    cdef uint8_t* limit                      # end of view
    cdef readonly uint64_t position          # bytes from the chain's front
    cdef uint64_t line_end                   # position of the line's end (of its \r or \n); set by line()
    cdef iobuf_t* line_view                  # where the line ends in the view that it began in; else NULL
    cdef uint8_t* line_limit                 # in that view: after its \n
    cdef readonly uint64_t token_length      # of the token read last; 0: the line had no more
    cdef bint _step(self) noexcept
    cdef void _skip(self, uint64_t length) noexcept
    cdef void _copy(self, uint8_t* to, uint64_t length) noexcept
    cdef bint _spaces(self) noexcept
    cdef inline uint64_t _measure(self) noexcept
    cdef uint64_t _measure_on(self) noexcept
    cdef int64_t _number_on(self) noexcept
    cdef bytes _across(self, uint64_t length)
    cpdef bint reset(self, Chain chain) except -1    # True: None would cost a reference, on every request
    cpdef void release(self) noexcept                # lets go of the chain; reset() comes before anything else
    cpdef object skip(self, uint64_t length)
    cpdef uint64_t remaining(self)
    cpdef bytes read(self, uint64_t length)          # raises EOFError when so much is not there
    cpdef Chain take(self, uint64_t length)          # the same as views
    cpdef object take_into(self, Chain chain, uint64_t length)   # the same, to the end of a chain of the caller's
    cpdef int64_t find(self, int byte, uint64_t limit=*) except -2   # distance to the byte, -1: not within limit
    cpdef uint64_t read_uint(self, int length) except? 0             # big-endian, 1 to 8 bytes
    # Lines of text protocols: tokens apart by spaces, the line ends with \n or \r\n.
    cpdef bint line(self, uint64_t limit=*) except -1    # True: a whole line lies ahead; the tokens below are its own
    cpdef bytes token(self)                          # the next token; None at the end of the line
    cpdef object look_up(self, KeyTable table)       # what it has under the next token, of which no bytes are made; None
    cpdef bint more(self) noexcept                   # whether the line has another token; goes over spaces
    cpdef uint64_t word(self) except? 0              # the same as a little-endian number; 0: none, or longer
                                                     # than 8 bytes, which stays to be read
    cpdef int64_t number(self) except? -1            # the same as decimal digits, -1: none, or no number below 2^63
    cpdef void end_line(self) noexcept               # to the first byte after the line's \n
