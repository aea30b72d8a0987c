"""The binary protocol."""
cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t
from appliances.memcached.item cimport Item
from appliances.memcached.session cimport Session
from appliances.memcached.store cimport Store
from appliances.memcached.worker cimport Protocol, Worker
from netapp.iobuf.chain cimport Chain
from netapp.iobuf.cursor cimport Cursor

cdef int ADD, REPLACE, CAS, STORED, NOT_STORED, NO_MEMORY, CREATED
cdef uint64_t KEY_MAX, HEADER_BYTES
cdef int ENOENT, EEXISTS, E2BIG, EINVAL, ENOT_STORED, BAD_DELTA, AUTH_ERROR, UNKNOWN, ENOMEM


cdef class Binary(Protocol):
    cdef readonly dict modes                 # of Store.store(), by opcode
    # The request
    cdef int opcode                          # as it came; responses repeat it
    cdef int verb                            # the one that is not quiet
    cdef bint quiet
    cdef uint64_t extra_bytes
    cdef uint64_t key_bytes
    cdef uint64_t body_bytes
    cdef uint64_t opaque
    cdef uint64_t unique
    cdef bint writes                         # at once, as memcached does after an error or a no-op
    cdef bytes extras
    cdef bytes key
    @cython.locals(start=uint64_t, unfit=bint)
    cdef bint command(self, Session session, Worker worker, Store store, Cursor cursor, Chain data) except -1
    @cython.locals(value_bytes=uint64_t, result=int)
    cdef bint _known(self, Session session, Worker worker, Store store) except -1
    cdef bytes _refused(self, Session session, uint64_t length)
    cdef bytes _response(self, int status, uint64_t extra_bytes, uint64_t key_bytes, uint64_t body_bytes, uint64_t unique)
    cdef bytes _error(self, int status)
    cdef bytes _failure(self, int status, bytes text)
    cdef bytes _done(self, uint64_t unique)
    @cython.locals(item=Item, touches=bint, keyed=bint, valued=bint, length=uint64_t, key=bytes)
    cdef int _get(self, Worker worker, Store store) except -1
    cdef bytes _delta(self, Worker worker, Store store)
    cdef bytes _flush(self, Worker worker, Store store)
    cdef int _store(self, Session session, Worker worker, Store store) except -1
    cdef bytes _stat(self, Worker worker, Store store)
    cdef bytes stored(self, Session session, Worker worker, Store store, int result)
