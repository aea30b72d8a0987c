"""What a cache is asked, the same for every server: keys by Zipf's law, values of log-normal sizes.

Cache-aside: a key is got, and set where it was not there. A key's value is always the same, so that every byte of an
answer can be checked.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    KEY_LEAST = 20               # bytes of a key: those of Facebook's general cache (Atikoglu, SIGMETRICS 2012)
    KEY_MOST = 45
    HEAD_MOST = 96               # more than a line with a key in it has
    LONGEST = 1048064            # bytes of a value: with its key and memcached's header it is below 1 MiB, its limit
    STARTS = 65521               # a value is a run of the same bytes; where it begins, the key says

cdef struct text_t:
    # A request or a reply: a line, the bytes of a value if any, and what ends them.
    uint32_t key
    uint32_t body                # bytes of the value
    uint32_t head_length
    uint32_t tail_length
    const char* tail
    uint64_t length              # of it all
    uint8_t head[HEAD_MOST]

cdef struct asked_t:
    # A request that is being answered.
    uint32_t key
    bint stores
    bint found                   # a get's answer has a value
    text_t text                  # the request; from the first byte of the answer on, the answer
    uint64_t came                # bytes of the answer


cdef class Trace:
    cdef readonly uint32_t keys
    cdef uint32_t* lengths                   # of values, by key
    cdef uint8_t* values
    cdef uint64_t random
    cdef double one_less_s, first, last, sure
    cdef double _even(self) noexcept
    cdef double _integral(self, double x) noexcept
    cdef double _inverse(self, double y) noexcept
    cdef uint32_t draw(self) noexcept        # the next key
    cdef uint32_t _key(self, uint32_t key, uint8_t* to) noexcept     # its length
    cdef void _line(self, text_t* text, const char* word, uint32_t key, const char* zeros, bint value) noexcept
    cdef void get(self, asked_t* asked, uint32_t key) noexcept
    cdef void set(self, asked_t* asked, uint32_t key) noexcept
    cdef void copy(self, text_t* text, uint64_t offset, uint8_t* to, uint64_t length) noexcept
    # Bytes at `at` that belong to the answer, which is whole where `came` is its length. Raises RuntimeError for a
    # wrong one.
    cdef uint64_t answer(self, asked_t* asked, const uint8_t* at, uint64_t length) except? 0
    cpdef list next_keys(self, uint32_t count)
    cpdef uint64_t value_length(self, uint32_t key)


cdef class Pipeline:
    """The trace in batches on one connection: gets, then sets of what was missed with the next gets."""
    cdef Trace trace
    cdef asked_t* asked
    cdef uint32_t most
    cdef uint32_t count                      # of this batch
    cdef uint32_t at                         # that is being answered
    cdef readonly uint64_t gets
    cdef readonly uint64_t hits
    cpdef bytes ask(self, uint32_t gets)     # text to send; 0: the last sets
    cpdef bint take(self, bytes data) except -1                      # what came; True: the batch is answered
