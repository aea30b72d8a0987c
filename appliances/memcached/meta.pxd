"""The meta commands mg, ms, md, ma, me and mn of the text protocol."""
cimport cython
from libc.stdint cimport int64_t, uint64_t
from appliances.memcached.item cimport Item
from appliances.memcached.protocol cimport Protocol
from appliances.memcached.session cimport Session
from appliances.memcached.store cimport Store
from appliances.memcached.worker cimport Worker

cdef int SET, ADD, REPLACE, CAS, APPEND, PREPEND, STORED, NOT_FOUND, NO_MEMORY, NOT_A_NUMBER, EXISTS
cdef uint64_t KEY_MAX


@cython.final
cdef class Flags:
    """What the flags of a command say."""
    cdef readonly bytes key                           # as it is stored
    cdef readonly bytes shown                         # as the command had it
    cdef readonly list flags                          # as they came
    cdef readonly bytes error                         # None: they are good
    cdef readonly bint binary                         # b: the key came in base64
    cdef readonly bint invalidate                     # I
    cdef readonly bint quiet                          # q
    cdef readonly bint value                          # v
    cdef readonly bint unused                         # u: the item does not count as used
    cdef readonly int64_t expires                     # T, -1: none; the next two likewise
    cdef readonly int64_t vivify                      # N
    cdef readonly int64_t recache                     # R
    cdef readonly bint has_unique                     # C
    cdef readonly uint64_t unique
    cdef readonly uint64_t client_flags               # F
    cdef readonly bytes mode                          # M
    cdef readonly uint64_t initial                    # J
    cdef readonly uint64_t by                         # D
    cdef object parse(self, Worker worker, Store store, list flags)
    cdef int64_t time(self, Worker worker, Store store, bytes flag) except? -2
    cpdef bytes echo(self, bint binary)


cdef class Meta(Protocol):
    cdef readonly dict modes
    cdef readonly dict commands
    cdef bytes stored(self, Session session, Worker worker, Store store, int result)
