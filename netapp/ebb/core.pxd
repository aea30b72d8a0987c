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
    # Its life: begin() or take_over(); then destroy() or replaced(). What a subclass overrides calls the base's.
    cpdef object begin(self)                 # a fault made it, and references reach it: registers with other Ebbs
    # Instead of begin(): it is to go on where `old` is, which references reach until this has returned. Shares with
    # `old` what it will keep and changes nothing of it: what raises leaves `old` in place, as it was. Only replaced()
    # tells other Ebbs and their parts. Refused (EbbError) unless a class says how.
    cpdef object take_over(self, object old)
    cpdef object may_be_replaced(self, object new)   # raises EbbError where `new` is of no class that can be in its place
    cpdef object replaced(self, object new)  # `new` took over, references reach it: lets go of what is shared; raises nothing
    cpdef object destroy(self)
    cpdef dict counters(self)


cdef class Core:
    """A core's translation table and inbox. Use as `with core:` to run on it outside a turn; nests."""
    cdef PyObject** entries                  # [namespace.capacity]; each owns a reference
    cdef readonly EbbNamespace namespace
    cdef readonly uint32_t index
    cdef readonly uint64_t now               # ns: the time of this turn, which the event manager sets
    cdef object inbox                        # deque of (ebb_id, method, message), filled by other cores
    cdef public object wake                  # called after a message arrived; set by the event manager
    cdef list outer                          # cores to go back to, innermost last
    cdef list due                            # rebindings for the end of the turn: (ebb_id, fault handler)
    cdef bint in_turn                        # set by the event manager: an event runs
    cdef void activate(self) noexcept
    cdef object fault(self, uint32_t ebb_id)
    cdef int remove(self, uint32_t ebb_id) except -1
    cpdef object get(self, uint32_t ebb_id)  # its representative, whichever core runs
    cdef int rebind(self, uint32_t ebb_id, object fault_handler) except -1
    cdef int _replace(self, uint32_t ebb_id, object fault_handler) except -1
    cpdef int rebind_due(self) except -1     # the oldest that waits; 0: there is none. Run by the event manager
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
    # Replaces the Ebb's representatives by those that the new fault handler makes, each of which takes over from the
    # old one; cores that have none yet get theirs from it. Between events: each core's own at the end of its (next)
    # turn, the running core's at once where it is in none. True: at once; what went wrong is then raised, and nothing
    # has changed. Later it is logged, and that core goes on with the old one.
    cpdef bint rebind(self, uint32_t ebb_id, object fault_handler) except -1
    cpdef dict representatives(self, uint32_t ebb_id)
    cpdef object destroy(self, uint32_t ebb_id)
    cpdef dict counters(self)


@final
cdef class EbbRef:
    """A reference to an Ebb: `ref()`, or `ref.get()` where calls are compiled, is the running core's representative."""
    cdef readonly uint32_t ebb_id
    cpdef object get(self)
