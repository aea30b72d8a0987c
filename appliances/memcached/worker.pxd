"""What the sessions of a core share; and how a protocol's commands are read and answered."""
cimport cython
from libc.stdint cimport int64_t, uint64_t
from appliances.memcached.session cimport Session
from appliances.memcached.store cimport Store
from netapp.ebb.core cimport EbbRef
from netapp.iobuf.chain cimport Chain
from netapp.iobuf.cursor cimport Cursor
from netapp.tcp.request_handler cimport Requests

cdef int64_t LONGEST_RELATIVE, FIRST_SECOND


cdef class Protocol:
    # The next command, at the cursor, which is on `data`; replies go to worker.reply. False: no more for now, as not all
    # of it is there (the cursor is where it began), or the session said that it leaves or yields.
    cdef bint command(self, Session session, Worker worker, Store store, Cursor cursor, Chain data) except -1
    # The answer to the command of session.begin(): how Store.store() took its value, or session.BAD_DATA.
    cdef bytes stored(self, Session session, Worker worker, Store store, int result)
    # Whether `data` may complete the command that waits for its rest.
    cdef bint completes(self, Worker worker, Chain data) except -1
    # Of a command that is too long to wait for its rest the session leaves.
    cdef int bound(self, Session session, Worker worker, Chain waiting) except -1


cdef class Negotiation(Protocol):
    cdef bint command(self, Session session, Worker worker, Store store, Cursor cursor, Chain data) except -1


@cython.final
cdef class Worker(Requests):
    """Requests with the store, what commands share, and counters."""
    cdef readonly EbbRef store               # asked once an event
    cdef readonly object options
    cdef public object shut_down             # what the command of that name calls
    cdef public object upkeep                # the Upkeep of the appliance
    cdef public Protocol protocol            # that a client speaks at first
    cdef public Protocol text
    cdef public Protocol binary
    cdef public uint64_t written             # bytes of the event's replies that memcached would have written already
    cdef readonly Chain value                # that is being stored; empty between calls
    cdef readonly int64_t began              # seconds since 1970, when the store's clock showed 0
    cdef readonly uint64_t began_ns          # when the worker was made, on the event manager's clock
    cdef readonly int max_connections        # -c
    cdef public int verbosity                # what `verbosity` set: only told of
    cdef public set sessions                 # those that are connected
    cdef public uint64_t total_connections
    cdef public uint64_t rejected_connections
    cdef public uint64_t get_misses
    cpdef object drop_unwritten(self)        # as memcached does with some errors, whatever they were answers to
    cpdef Store tick(self)
    cpdef int64_t expires(self, Store store, int64_t exptime) except? -1
