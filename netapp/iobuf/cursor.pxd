"""A place in a chain from which a protocol's fields, lines and tokens are read, across views.

Lifetime: the chain must not be advanced or emptied while a cursor is on it; `reset` puts the cursor on another chain.
"""
from cython cimport final
from libc.stdint cimport int64_t, uint8_t, uint64_t
from netapp.iobuf.chain cimport Chain
from netapp.iobuf.pool cimport iobuf_t


@final
cdef class Cursor:
    cdef Chain chain
    cdef iobuf_t* view                       # NULL: at the end
    cdef uint8_t* next                       # the next byte, in view
    cdef uint8_t* limit                      # end of view
    cdef readonly uint64_t position          # bytes from the chain's front
    cdef uint64_t line_end                   # position of the line's end (of its \r or \n); set by line()
    cdef bint _step(self) noexcept
    cdef void _skip(self, uint64_t length) noexcept
    cdef void _copy(self, uint8_t* to, uint64_t length) noexcept
    cdef bint _spaces(self) noexcept
    cdef uint64_t _token_length(self) noexcept
    cpdef object reset(self, Chain chain)
    cpdef object skip(self, uint64_t length)
    cpdef uint64_t remaining(self)
    cpdef bytes read(self, uint64_t length)          # raises EOFError when so much is not there
    cpdef Chain take(self, uint64_t length)          # the same as views
    cpdef int64_t find(self, int byte, uint64_t limit=*) except -2   # distance to the byte, -1: not within limit
    cpdef uint64_t read_uint(self, int length) except? 0             # big-endian, 1 to 8 bytes
    # Lines of text protocols: tokens apart by spaces, the line ends with \n or \r\n.
    cpdef bint line(self, uint64_t limit=*) except -1    # True: a whole line lies ahead; the tokens below are its own
    cpdef bytes token(self)                          # the next token; None at the end of the line
    cpdef uint64_t word(self) except? 0              # the same as a little-endian number; 0: none, or longer
                                                     # than 8 bytes, which stays to be read
    cpdef int64_t number(self) except? -1            # the same as decimal digits, -1: none, or no number below 2^63
    cpdef object end_line(self)                      # to the first byte after the line's \n
