"""The clients of a thread and their connections: what comes is read, what is to be sent is sent, what ends is made again.

What a reply means for its client, and what comes next, is Worker's, which overrides `_over`, `_next` and `_forget`.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from netapp.hosted.epoll cimport epoll_event
from bench.memaslap.client cimport client_t, counters_t, settings_t, socket_t, task_t
from bench.memaslap.sockets cimport address_t

cdef enum:
    EVENTS = 256
    READ_BYTES = 65536                   # at most at once
    UDP_PATIENCE = 1_000_000_000         # ns until a datagram counts as lost


cdef class Connections:
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
    cdef uint32_t active                 # clients that have something to do
    cdef uint32_t outstanding            # requests

    cdef int _allocate(self, uint32_t clients, uint32_t servers) except -1
    cpdef object add_client(self, bytes key_bytes, bytes value_bytes, double expiring, list sockets, uint64_t requests)
    cpdef object close(self)
    cdef void _over(self, client_t* c, bint answered, bint stored) noexcept nogil   # its request is
    cdef void _next(self, client_t* c) noexcept nogil                               # it is idle
    cdef void _forget(self, client_t* c) noexcept nogil                             # it is not idle any more
    cdef void _wait(self, int64_t timeout) noexcept nogil                           # ns, and goes on with what came
    cdef void _event(self, uint64_t name, uint32_t events) noexcept nogil
    cdef void _receive(self, client_t* c, socket_t* s) noexcept nogil
    cdef int _receive_stream(self, client_t* c, socket_t* s, bint* stored) noexcept nogil
    cdef int _receive_datagram(self, client_t* c, socket_t* s, bint* stored) noexcept nogil
    cdef int _read(self, client_t* c, const char* data, uint64_t length, bint* stored) noexcept nogil
    cdef bint _pick(self, client_t* c) noexcept nogil
    cdef void _send(self, client_t* c) noexcept nogil
    cdef void _tick(self) noexcept nogil
    cdef void _lose(self, client_t* c, socket_t* s) noexcept nogil
    cdef void _connect(self, client_t* c, socket_t* s) noexcept nogil
    cdef void _connected(self, client_t* c, socket_t* s) noexcept nogil
