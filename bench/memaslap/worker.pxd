"""A thread of the generator: an epoll loop over the kernel's sockets of its clients, without the interpreter.

`fill()` and `run()` release the GIL for their whole time, so that threads are as good as processes here, and their
counters lie where the main thread can read them meanwhile. No lock, no atomic: each number has one writer.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from netapp.hosted.epoll cimport epoll_event
from bench.memaslap.client cimport client_t, counters_t, settings_t, socket_t, task_t
from bench.memaslap.series cimport Series
from bench.memaslap.sockets cimport address_t

cdef enum:
    EVENTS = 256
    READ_BYTES = 65536                   # at most at once
    TICK = 100_000_000                   # ns between looks at what is overdue
    UDP_PATIENCE = 1_000_000_000         # ns until a datagram counts as lost
    LAST_PATIENCE = 1_000_000_000        # ns for answers after the end
    SILENCE = 10_000_000_000             # ns without any answer that end what has no other end
    SPIN = 60_000                        # ns before something is due: sleeping would come too late


cdef class Worker:
    cdef readonly Series gets
    cdef readonly Series sets
    cdef readonly Series waited          # for a concurrency, until the end: never sent
    cdef public bint stop                # asked for by another thread
    cdef readonly uint64_t ended         # ns
    cdef readonly uint64_t cpu           # ns for which its thread ran, of what was measured
    cdef readonly uint32_t unanswered    # at the end
    cdef readonly bint silence           # ended it
    cdef settings_t settings
    cdef bytes characters                # settings points into it
    cdef counters_t counters_
    cdef counters_t unmeasured
    cdef task_t task
    cdef uint32_t client_count
    cdef uint32_t clients_size
    cdef client_t* clients
    cdef address_t* addresses            # of servers, for reconnecting
    cdef uint32_t* lost_                 # connections, by server
    cdef uint32_t* back_                 # that came back
    cdef uint8_t* buffer                 # a line's beginning, then what was received
    cdef int epoll
    cdef bint milliseconds               # epoll_pwait2 is missing (Linux 5.11)
    cdef epoll_event ready[EVENTS]
    cdef uint64_t random
    cdef uint64_t names                  # of objects so far; the thread's number above
    cdef uint64_t now
    cdef uint64_t begin                  # what began before is not measured
    cdef uint64_t end
    cdef uint64_t next_tick
    cdef uint64_t answered               # ns, the last time that anything was
    cdef uint32_t active                 # clients that have something to do
    cdef uint32_t outstanding
    cdef bint filling
    cdef bint draining
    # pacing
    cdef double interval                 # ns; 0: none
    cdef bint open                       # times count from when requests are due
    cdef uint64_t start
    cdef uint64_t offered                # requests that were due and sent
    cdef client_t** idle                 # a ring
    cdef uint32_t idle_first
    cdef uint32_t idle_count

    cpdef object add_client(self, bytes key_bytes, bytes value_bytes, double expiring, list sockets, uint64_t requests)
    cpdef object fill(self)
    cpdef object run(self, uint64_t start, uint64_t begin, uint64_t end)
    cpdef object close(self)
    cdef void _loop(self) noexcept nogil
    cdef void _measure(self) noexcept nogil
    cdef void _drain(self) noexcept nogil
    cdef void _wait(self, uint64_t until) noexcept nogil
    cdef void _event(self, uint64_t name, uint32_t events) noexcept nogil
    cdef void _receive(self, client_t* c, socket_t* s) noexcept nogil
    cdef int _receive_stream(self, client_t* c, socket_t* s, bint* stored) noexcept nogil
    cdef int _receive_datagram(self, client_t* c, socket_t* s, bint* stored) noexcept nogil
    cdef int _read(self, client_t* c, const char* data, uint64_t length, bint* stored) noexcept nogil
    cdef void _note(self, client_t* c) noexcept nogil
    cdef void _over(self, client_t* c, bint answered, bint stored) noexcept nogil
    cdef void _next(self, client_t* c) noexcept nogil
    cdef void _begin(self, client_t* c, uint64_t began) noexcept nogil
    cdef bint _pick(self, client_t* c) noexcept nogil
    cdef void _send(self, client_t* c) noexcept nogil
    cdef uint64_t _due(self) noexcept nogil
    cdef void _offer(self) noexcept nogil
    cdef void _tick(self) noexcept nogil
    cdef void _lose(self, client_t* c, socket_t* s) noexcept nogil
    cdef void _forget(self, client_t* c) noexcept nogil
    cdef void _connect(self, client_t* c, socket_t* s) noexcept nogil
    cdef void _connected(self, client_t* c, socket_t* s) noexcept nogil
