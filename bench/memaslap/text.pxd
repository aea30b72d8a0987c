"""memcached's text protocol, as a client speaks it."""
from libc.stdint cimport uint64_t
from bench.memaslap.client cimport client_t, task_t

# The client's `request` and `parts` become the command that was chosen.
cdef void build(client_t* c, task_t* t) noexcept nogil
# Goes on with the reply; MORE, DONE or BROKEN. `stored` is set where a set succeeded.
cdef int read(client_t* c, task_t* t, const char* data, uint64_t length, bint* stored) noexcept nogil
