"""The event manager Ebb: turns of the loop (design: "Events")."""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from netapp.ebb.core cimport Core, Representative, representative
from netapp.ebb.ids cimport EVENT_MANAGER_ID
from netapp.event.contracts cimport Clock, Interrupts

cdef enum:
    # Order of work at the end of a turn.
    STAGE_OUTPUT = 0             # protocols send what the turn produced
    STAGE_FREE = 1               # deferred frees, call_rcu
    STAGE_FLUSH = 2              # devices are notified, once


cdef class Poller:
    """An idle callback: while it is started the loop does not sleep."""
    cdef int poll(self, int budget) except -1        # at most `budget` units of work; how many were done


cdef class EndOfTurn:
    cdef int end_of_turn(self) except -1             # called in every turn; cheap when there is nothing to do


cdef class EventManager(Representative):
    cdef readonly uint64_t now                       # ns; read once a turn
    cdef void start_polling(self, Poller poller)
    cdef void stop_polling(self, Poller poller)
    cdef void at_end_of_turn(self, EndOfTurn hook, int stage)
    cdef void remove_end_of_turn(self, EndOfTurn hook)
    cpdef object spawn(self, object function)        # function() in a later turn; or a coroutine, run as a task
    cpdef object spawn_remote(self, uint32_t core, uint32_t ebb_id, str method, bytes message)
    cpdef object call_rcu(self, object function)     # function() after every core has ended a turn
    cpdef bint turn(self)                            # one turn, never sleeps; whether anything was done
    cpdef object run(self)                           # turns, and sleeps between them, until stop()
    cpdef object stop(self)
    cpdef int64_t idle_time(self)                    # ns that the loop may sleep now: 0 work is left, -1 for ever

cdef inline EventManager events():
    return <EventManager>representative(EVENT_MANAGER_ID)
