"""Connections on which requests come one after the other: a session says what one is and answers it."""
cimport cython
from libc.stdint cimport uint64_t
from netapp.iobuf.chain cimport Chain
from netapp.iobuf.cursor cimport Cursor
from netapp.tcp.handler cimport TcpHandler


cdef class Requests:
    """What an appliance's request handlers share on a core."""
    cdef readonly Cursor cursor              # on what is worked on
    cdef readonly Chain reply                # of the event under way; empty between events
    cdef readonly int at_once                # requests of a handler in an event, after which others have their turn
    cdef readonly uint64_t most_held         # bytes of all handlers' requests whose rest is to come
    cdef public uint64_t held
    cdef public uint64_t bytes_read
    cdef public uint64_t bytes_written
    cdef public uint64_t yields
    cpdef object clear(self)                 # gives back the slot that replies are written to: for the appliance's stop()


cdef class RequestHandler(TcpHandler):
    """Reads requests where they lie, sends the replies of an event at once, and keeps what is not whole until its rest
    comes: small pieces copied together, others without the slots that they would pin. Without a
    connection it serves what work() is given; the subclass has a send() then.
    """
    cdef readonly Requests requests
    cdef public Chain waiting                # received, and not worked on yet; None: nothing
    cdef public bint yielded                 # whole requests may be in `waiting`; a later event goes on
    cdef bint blocked                        # the same, when the send queue has room
    cdef public bint leaving                 # no more requests are read
    cdef bint peer_left
    cdef bint working                        # in request()
    cdef bint ended                          # the connection has, or was aborted: nothing is sent any more
    cdef uint64_t held                       # bytes of `waiting` that count for all handlers' limit

    # --- what a subclass defines ---
    # The next request, at the cursor, which is on what was received; replies go to the end of `reply`. False: no more
    # for now, as not all of it is there: the cursor is where it began.
    cpdef bint request(self, Cursor cursor, Chain reply) except -1
    cpdef bint completes(self, Chain data) except -1         # may it complete what waits? True, unless defined
    cpdef bint bound(self, Chain waiting) except -1          # what waits has become longer: leave() when it is too long
    cpdef Chain stored(self, Chain data)                     # to keep for long; MemoryError: nothing has room
    cpdef bint refuse(self) except -1                        # the request that arrives has no room: aborts

    # --- what it calls ---
    cpdef bint leave(self) except -1                         # closes behind what was answered; what comes is dropped

    # --- what it may go about otherwise ---
    @cython.locals(requests=Requests, cursor=Cursor, reply=Chain, left=int)
    cpdef bint work(self, Chain data, bint resumed) except -1        # `resumed`: after having yielded
    # The end of work(): sends the reply, and keeps what is behind the cursor.
    @cython.locals(requests=Requests, reply=Chain, start=uint64_t)
    cpdef bint finish(self, Chain data) except -1
    @cython.locals(length=uint64_t)
    cpdef bint arrived(self, Chain data) except -1           # more of what waits for its rest
    cpdef bint keep(self, Chain data) except -1              # at the end of what waits
    @cython.locals(waiting=Chain)
    cpdef bint take_up(self) except -1                       # works on what waited
    @cython.locals(requests=Requests)
    cpdef bint hold(self, uint64_t length) except -1         # counts so much more of a request whose rest is to come
    cdef bint let_go(self) except -1
    cdef bint end(self) except -1                            # nothing more is read
    cpdef bint wait_turn(self) except -1                     # with more to do in `waiting`

    cpdef object abort(self)
    cpdef object receive(self, Chain data)
    cpdef object peer_closed(self)
    cpdef object writable(self)
    cpdef object closed(self, object error)
    cpdef object go_on(self)
