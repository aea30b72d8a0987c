"""A connection: what it received and not worked on yet, and the value that is arriving."""
cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t
from appliances.memcached.item cimport Item
from appliances.memcached.protocol cimport Protocol
from appliances.memcached.store cimport Store
from appliances.memcached.worker cimport Worker
from netapp.iobuf.chain cimport Chain
from netapp.iobuf.cursor cimport Cursor
from netapp.tcp.handler cimport TcpHandler

cdef int NO_MEMORY, SWALLOW, BAD_DATA, STORED, APPEND
cdef bytes CRLF, TOO_MANY
cdef bytes NO_MEMORY_TO_READ
cdef uint64_t ENOUGH, SMALL_PIECE, MOST_HELD, FIRST_SECOND


cdef class Session(TcpHandler):
    cdef readonly Worker worker
    cdef public Protocol protocol
    cdef public Chain waiting                # received, and not worked on yet; None: nothing
    cdef public bint yielded                 # whole commands may be in `waiting`; a later event goes on
    cdef bint blocked                        # the same, when the send queue has room
    cdef public bint leaving                 # no more commands are read
    cdef bint peer_left
    cdef public int most                     # commands in an event
    cdef public bint datagram                # there is no connection: a subclass sends
    cdef readonly int64_t last_command       # when, on the store's clock
    cdef uint64_t held                       # bytes of `waiting` that count for the worker's limit
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
    @cython.locals(whole=Chain)
    cpdef object receive(self, Chain data)
    cpdef object peer_closed(self)
    cpdef object writable(self)
    cpdef object closed(self, object error)
    cpdef object leave(self)
    cpdef object serve(self, Chain data)     # what came otherwise than over a connection
    cpdef object wait_turn(self)             # with more to do in `waiting`
    @cython.locals(waiting=Chain, store=Store, length=uint64_t, complete=bint)
    cdef Chain gather(self, Chain data)
    @cython.locals(worker=Worker)
    cdef int hold(self, uint64_t length) except -1
    cdef int let_go(self) except -1
    cdef int end(self) except -1             # nothing more is read
    @cython.final
    cdef inline int give_back(self) except -1       # what was reserved for a value
    cdef int refuse(self) except -1
    @cython.locals(worker=Worker, store=Store, cursor=Cursor, reply=Chain, length=uint64_t, left=int, start=uint64_t)
    cdef int work(self, Chain data) except -1
    # The value of `length` bytes follows at the cursor; `storing` answers when it is there.
    @cython.locals(size=uint64_t)
    cpdef object begin(self, Store store, Protocol storing, int mode, bytes key, uint32_t flags, int64_t expires,
                       uint64_t length, bint raw)
    cdef int no_room(self, Store store) except -1
    cpdef object swallow(self, uint64_t length, bytes answer)    # drops so much of what follows, then answers
    @cython.locals(worker=Worker, cursor=Cursor, value=Chain, size=uint64_t, result=int, answer=bytes)
    cdef inline bint value(self, Store store) except -1
