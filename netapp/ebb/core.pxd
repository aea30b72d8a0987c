"""Ebbs: components named by a 32-bit id and reached, on every core, through that core's own representative."""
from cpython.ref cimport PyObject
from cython cimport final
from libc.stdint cimport uint32_t, uint64_t

# The running core's translation table: a representative by EbbId, NULL where the core has none yet. This pointer and
# `running` beside it are the only mutable module globals of the framework: everything else hangs on a representative.
cdef PyObject** translation
cdef Core running
cdef PyObject** no_translation               # where no core runs: every id faults

cdef object fault(uint32_t ebb_id)

cdef inline PyObject* borrowed(uint32_t ebb_id) except NULL:
    """representative() without a reference of the caller's: for one look into it."""
    if translation[ebb_id] == NULL:
        fault(ebb_id)
    return translation[ebb_id]

cdef inline object representative(uint32_t ebb_id):
    """The running core's representative of `ebb_id`; built by the Ebb's fault handler on first use.

    Not cached across events: an Ebb can be rebound between them.
    """
    cdef PyObject* entry = translation[ebb_id]
    if entry != NULL:
        return <object>entry
    return fault(ebb_id)


cdef class Representative:
    """The part of an Ebb on one core. A subclass that counts points `counter_values` at its packed struct of uint64."""
    cdef readonly uint32_t ebb_id
    cdef readonly Core core                  # None until the fault handler returned it, and after destroy()
    cdef uint64_t* counter_values            # as many as counter_names; owned by the subclass
    cdef readonly tuple counter_names
    cpdef object destroy(self)
    cpdef dict counters(self)


cdef class Core:
    """A core's translation table and inbox. Use as `with core:` to run on it outside a turn; nests."""
    cdef PyObject** entries                  # [namespace.capacity]; each owns a reference
    cdef readonly EbbNamespace namespace
    cdef readonly uint32_t index
    cdef object inbox                        # deque of (ebb_id, method, message), filled by other cores
    cdef public object wake                  # called after a message arrived; set by the event manager
    cdef list outer                          # cores to go back to, innermost last
    cdef void activate(self) noexcept
    cdef object fault(self, uint32_t ebb_id)
    cdef int remove(self, uint32_t ebb_id) except -1
    cpdef object post(self, uint32_t ebb_id, str method, bytes message)
    cpdef int deliver(self) except -1
    cdef void leave(self, Core outer) noexcept


cdef class EbbNamespace:
    """The ids of one node's Ebbs, their kinds and fault handlers, and the cores that hold representatives."""
    cdef readonly tuple cores
    cdef uint32_t capacity                   # of every core's table; grows when ids run out
    cdef dict ebbs                           # id -> _Definition
    cdef list released                       # dynamic ids to use again
    cdef uint32_t next_id
    cdef int _reserve(self, uint32_t capacity) except -1
    cpdef object install(self, uint32_t ebb_id, object fault_handler, object kind=*, uint32_t owner=*)
    cpdef uint32_t create(self, object fault_handler, object kind=*, uint32_t owner=*) except 0
    cpdef dict representatives(self, uint32_t ebb_id)
    cpdef object destroy(self, uint32_t ebb_id)
    cpdef dict counters(self)


@final
cdef class EbbRef:
    """A reference to an Ebb: `ref()`, or `ref.get()` where calls are compiled, is the running core's representative."""
    cdef readonly uint32_t ebb_id
    cpdef object get(self)
