"""The text protocol's commands that most requests are; the rarer ones are functions in commands.py."""
cimport cython
from libc.stdint cimport int64_t, uint64_t
from appliances.memcached.item cimport Item
from appliances.memcached.session cimport Session
from appliances.memcached.store cimport Store
from appliances.memcached.worker cimport Protocol, Worker
from netapp.iobuf.chain cimport Chain
from netapp.iobuf.cursor cimport Cursor
from netapp.iobuf.keys cimport KeyTable
from netapp.iobuf.record cimport append_record

cdef uint64_t GET, GETS, BGET, SET_WORD, NOREPLY
cdef int SET, CAS, STORED, NO_MEMORY
cdef bytes END, ERROR, BAD_FORMAT, STORED_LINE
cdef uint64_t LONGEST_LINE, LONGEST_GET, ENOUGH, KEY_MAX
cdef int64_t LONGEST_VALUE
cdef int MOST_KEYS


cdef class Text(Protocol):
    cdef readonly dict modes                 # of Store.store(), by a storage command's word
    cdef readonly dict commands              # by name: function(session, store, tokens) -> reply, or None to close
    @cython.locals(verb=uint64_t, start=uint64_t, mode=int, found=object, item=Item)
    cdef bint command(self, Session session, Worker worker, Store store, Cursor cursor, Chain data) except -1
    @cython.locals(cursor=Cursor, reply=Chain, items=KeyTable, more=bint, length=uint64_t, left=int)
    cdef bint get(self, Session session, Worker worker, Store store, bint unique, Item item) except -1
    @cython.final
    @cython.locals(
        flags=int64_t, exptime=int64_t, length=int64_t, unique=int64_t, last=uint64_t, key=bytes, in_range=bint, ended=bint
    )
    cdef inline int storage(self, Session session, Store store, Cursor cursor, int mode, uint64_t start,
                            Chain data) except -1
    cdef bytes odd_storage(self, Session session, Store store, int mode, list tokens)
    @cython.final
    @cython.locals(expires=int64_t)
    cdef inline int store_line(self, Session session, Store store, int mode, bytes key, uint64_t flags,
                               int64_t exptime, uint64_t length) except -1
    cdef bytes stored(self, Session session, Worker worker, Store store, int result)
    cdef bint completes(self, Worker worker, Chain data) except -1
    cdef int bound(self, Session session, Worker worker, Chain waiting) except -1

@cython.locals(found=list)
cdef list tokens_of(Cursor cursor, uint64_t start, Chain data)   # of the line that begins at `start`
