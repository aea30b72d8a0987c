"""A connection: what it received and not worked on yet, and the value that is arriving."""
cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t
from appliances.memcached.item cimport Item
from appliances.memcached.store cimport Store
from appliances.memcached.worker cimport Protocol, Worker
from netapp.iobuf.chain cimport Chain
from netapp.iobuf.cursor cimport Cursor
from netapp.tcp.request_handler cimport RequestHandler

cdef int NO_MEMORY, SWALLOW, BAD_DATA, STORED, APPEND
cdef bytes CRLF, TOO_MANY
cdef bytes NO_MEMORY_TO_READ
cdef uint64_t ENOUGH, FIRST_SECOND


cdef class Session(RequestHandler):
    cdef readonly Worker worker
    cdef public Protocol protocol
    cdef public int most                     # commands in an event, of those that were just read
    cdef readonly int64_t last_command       # when, on the store's clock
    # A command that yielded within its line
    cdef public uint64_t asked               # its name; 0: none
    # The storage command whose value is arriving
    cdef readonly int mode                   # of Store.store(), or SWALLOW; 0: none
    cdef readonly uint64_t awaited           # bytes of the value with its \r\n; of one that is dropped, those to come
    cdef uint64_t reserved                   # bytes reserved in the store for it
    cdef Protocol storing                    # which answers
    cdef bint raw                            # it comes without \r\n
    cdef readonly bytes key
    cdef readonly uint32_t flags
    cdef int64_t expires
    cdef public uint64_t unique
    cdef public bint stale
    cdef public bint noreply
    cdef public object extra                 # what the protocol wants to know when it answers
    cdef bytes answer                        # after a value that is dropped

    cpdef object connected(self)
    cpdef object closed(self, object error)
    cpdef bint completes(self, Chain data) except -1
    cpdef bint bound(self, Chain waiting) except -1
    cpdef Chain stored(self, Chain data)
    cpdef bint refuse(self) except -1
    cpdef bint hold(self, uint64_t length) except -1
    @cython.locals(store=Store, size=uint64_t)
    cpdef bint arrived(self, Chain data) except -1
    @cython.locals(worker=Worker, store=Store, cursor=Cursor, reply=Chain, length=uint64_t, left=int)
    cpdef bint work(self, Chain data, bint resumed) except -1
    @cython.final
    cdef inline int give_back(self) except -1       # what was reserved for a value
    # The value of `length` bytes follows at the cursor; `storing` answers when it is there.
    @cython.locals(size=uint64_t)
    cpdef object begin(self, Store store, Protocol storing, int mode, bytes key, uint32_t flags, int64_t expires,
                       uint64_t length, bint raw)
    cdef int no_room(self, Store store) except -1
    cpdef object swallow(self, uint64_t length, bytes answer)    # drops so much of what follows, then answers
    @cython.locals(worker=Worker, cursor=Cursor, value=Chain, size=uint64_t, result=int, answer=bytes)
    cdef inline bint value(self, Store store) except -1
