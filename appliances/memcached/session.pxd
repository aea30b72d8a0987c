"""A connection's text protocol, and what the connections of a core share."""
cimport cython
from libc.stdint cimport int64_t, uint64_t
from appliances.memcached.store cimport Item, Store
from netapp.ebb.core cimport EbbRef
from netapp.iobuf.chain cimport Chain
from netapp.iobuf.cursor cimport Cursor
from netapp.iobuf.keys cimport KeyTable
from netapp.tcp.handler cimport TcpHandler


cdef uint64_t GET, GETS, SET, ADD, REPLACE, CAS, NOREPLY, SWALLOW
cdef bytes CRLF, END, STORED, NOT_STORED, NOT_FOUND, EXISTS, ERROR, BAD_FORMAT, BAD_CHUNK, TOO_LARGE, NO_MEMORY
cdef int64_t LONGEST_RELATIVE
cdef uint64_t FIRST_SECOND
cdef uint64_t LONGEST_LINE, LONGEST_GET, ENOUGH, SMALL_PIECE
cdef uint64_t KEY_MAX


@cython.final
cdef class Worker:
    """What sessions share: the store, the reply under way (empty between events), counters."""
    cdef readonly EbbRef store               # asked once an event
    cdef readonly EbbRef events
    cdef readonly Chain reply
    cdef readonly Cursor cursor
    cdef readonly Chain value                # that is being stored; empty between calls
    cdef readonly object commands            # name -> function(session, store, tokens) -> reply, or None to close
    cdef readonly int64_t began              # seconds since 1970, when the store's clock showed 0
    cdef readonly uint64_t began_ns          # when the worker was made, on the event manager's clock
    cdef readonly int requests_per_event     # -R
    cdef readonly int max_connections        # -c
    cdef readonly uint64_t max_item          # -I
    cdef public bint draining                # this side has closed all connections: what comes is dropped
    cdef public int connections
    cdef public uint64_t total_connections
    cdef public uint64_t rejected_connections
    cdef public uint64_t yields
    cdef public uint64_t bytes_read
    cdef public uint64_t bytes_written
    cdef public uint64_t cmd_get
    cdef public uint64_t get_hits
    cdef public uint64_t cmd_set
    cdef public uint64_t cas_misses
    cdef public uint64_t cas_hits
    cdef public uint64_t cas_badval
    cdef public uint64_t store_too_large
    cdef public uint64_t store_no_memory
    cdef public dict counts                  # of the rarer commands
    cpdef int64_t expires(self, Store store, int64_t exptime) except? -1


cdef class Session(TcpHandler):
    cdef readonly Worker worker
    cdef Chain waiting                       # received, and not worked on yet; None: nothing
    cdef bint yielded                        # whole commands may be in `waiting`; a later event goes on
    cdef bint blocked                        # the same, when the send queue has room
    cdef uint64_t asked                      # get or gets, of whose line the rest waits; 0: none
    cdef bint leaving                        # no more commands are read
    cdef bint peer_left
    # The storage command whose value is arriving
    cdef uint64_t verb                       # its name; 0: none
    cdef uint64_t awaited                    # bytes of the value with its \r\n; of one that is dropped, those to come
    cdef uint64_t reserved                   # bytes reserved in the store for it
    cdef bytes key
    cdef uint64_t flags
    cdef int64_t exptime
    cdef uint64_t unique
    cdef bint noreply
    cdef bytes answer                        # after a value that is dropped

    cpdef object connected(self)
    @cython.locals(whole=Chain)
    cpdef object receive(self, Chain data)
    cpdef object peer_closed(self)
    cpdef object writable(self)
    cpdef object closed(self, object error)
    cdef int leave(self) except -1
    @cython.locals(waiting=Chain, cursor=Cursor)
    cdef Chain gather(self, Chain data)
    @cython.locals(
        worker=Worker,
        store=Store,
        cursor=Cursor,
        reply=Chain,
        length=uint64_t,
        left=int,
        verb=uint64_t,
        start=uint64_t,
    )
    cdef int work(self, Chain data) except -1
    @cython.locals(items=KeyTable, item=Item, more=bint, before=uint64_t, length=uint64_t)
    cdef inline bint get(self, Worker worker, Store store, Cursor cursor, Chain reply, bint unique) except -1
    @cython.locals(data=Chain)
    cdef int without_end(self, Item item) except -1
    @cython.locals(reply=Chain, data=Chain)
    cdef object with_unique(self, Item item)
    @cython.locals(
        cursor=Cursor, flags=int64_t, exptime=int64_t, length=int64_t, unique=int64_t, last=uint64_t, key=bytes
    )
    cdef inline int storage(self, Store store, uint64_t verb, uint64_t start, Chain data) except -1
    cdef object odd_storage(self, Store store, uint64_t verb, list tokens)
    @cython.locals(worker=Worker, cursor=Cursor)
    cdef inline int begin(self, Store store, uint64_t verb, bytes key, uint64_t flags, int64_t exptime,
                          int64_t length) except -1
    @cython.locals(store=Store)
    cdef int no_room(self) except -1
    @cython.locals(item=Item)
    cdef int swallow(self, Store store, bytes answer) except -1
    @cython.locals(worker=Worker, cursor=Cursor, value=Chain, size=uint64_t, answer=bytes)
    cdef inline bint value(self, Store store) except -1
    @cython.locals(worker=Worker, item=Item)
    cdef inline bytes store_value(self, Store store, Chain value)
    cdef int other(self, Store store, uint64_t start, Chain data) except -1
    @cython.locals(cursor=Cursor, found=list)
    cdef list tokens(self, uint64_t start, Chain data)
    @cython.locals(cursor=Cursor)
    cdef object bound_line(self, Chain waiting)
