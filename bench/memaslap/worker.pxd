"""A thread of the generator: an epoll loop over the kernel's sockets of its clients, without the interpreter.

`fill()` and `run()` release the GIL for their whole time, so that threads are as good as processes here, and their
counters lie where the main thread can read them meanwhile. No lock, no atomic: each number has one writer.
"""
from libc.stdint cimport uint32_t, uint64_t
from bench.memaslap.client cimport client_t
from bench.memaslap.connections cimport Connections
from bench.memaslap.series cimport Series

cdef enum:
    TICK = 100_000_000                   # ns between looks at what is overdue
    LAST_PATIENCE = 1_000_000_000        # ns for answers after the end
    SILENCE = 10_000_000_000             # ns without any answer that end what has no other end
    SPIN = 60_000                        # ns before something is due: sleeping would come too late


cdef class Worker(Connections):
    cdef readonly Series gets
    cdef readonly Series sets
    cdef readonly Series waited          # for a concurrency, until the end: never sent
    cdef public bint stop                # asked for by another thread
    cdef readonly uint64_t ended         # ns
    cdef readonly uint64_t cpu           # ns for which its thread ran, of what was measured
    cdef readonly uint32_t unanswered    # at the end
    cdef readonly bint silence           # ended it
    cdef uint64_t begin                  # what began before is not measured
    cdef uint64_t end
    cdef uint64_t next_tick
    cdef uint64_t answered               # ns, the last time that anything was
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

    cpdef object fill(self)
    cpdef object run(self, uint64_t start, uint64_t begin, uint64_t end)
    cdef void _loop(self) noexcept nogil
    cdef void _until(self, uint64_t time) noexcept nogil
    cdef void _measure(self) noexcept nogil
    cdef void _drain(self) noexcept nogil
    cdef void _note(self, client_t* c) noexcept nogil
    cdef void _begin(self, client_t* c, uint64_t began) noexcept nogil
    cdef uint64_t _due(self) noexcept nogil
    cdef void _offer(self) noexcept nogil
