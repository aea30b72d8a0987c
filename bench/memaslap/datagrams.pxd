"""memcached's frames over UDP: request id, number, how many there are; a reply may come in several, in any order."""
from bench.memaslap.client cimport client_t, datagrams_t, task_t

cdef datagrams_t* new_datagrams() noexcept nogil        # NULL: no memory
cdef void free_datagrams(datagrams_t* d) noexcept nogil
cdef void frame(client_t* c) noexcept nogil             # the built request gets a header, in the room before it
# Reads a datagram. DONE: the reply is in `bytes`; MORE; -errno.
cdef int collect(client_t* c, task_t* t, int fd) noexcept nogil
# The reply goes on in frames that are numbered from 0 again: memcached 1.6 does that with each key of a get.
cdef void follow(client_t* c) noexcept nogil
cdef void give_up(client_t* c, task_t* t) noexcept nogil    # what has not come is lost
