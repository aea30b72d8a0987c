"""Values that are read: they go by, and where that was asked for are compared with what was stored."""
from libc.stdint cimport uint64_t
from bench.memaslap.client cimport client_t, item_t, task_t, wanted_t

cdef extern from "<stdio.h>" nogil:
    int dprintf(int fd, const char* format, ...)
    int snprintf(char* to, size_t size, const char* format, ...)

# An error of a verification, on standard error where -b asks for it.
cdef void tell(client_t* c, task_t* t, item_t* item, const char* what) noexcept nogil

# A value of so many bytes follows, of this key.
cdef void expect(client_t* c, task_t* t, wanted_t* wanted, uint64_t length) noexcept nogil
# As much of client_t.skip as there is; how much.
cdef uint64_t take(client_t* c, task_t* t, const char* data, uint64_t length) noexcept nogil
# An answer that is an error; the first one is kept to be shown.
cdef void refuse(task_t* t, const char* text, uint64_t length) noexcept nogil
cdef void refuse_status(task_t* t, const char* what, unsigned int status) noexcept nogil      # with a number; binary
