"""The event manager Ebb: turns of the loop (design: "Events")."""
from cpython.ref cimport PyObject
from libc.stdint cimport int64_t, uint32_t, uint64_t
from netapp.ebb.core cimport Core, Representative, representative, running
from netapp.ebb.ids cimport EVENT_MANAGER_ID
from netapp.event.contracts cimport Clock, Interrupts

cdef enum:
    # Order of work at the end of a turn.
    STAGE_OUTPUT = 0             # protocols send what the turn produced
    STAGE_FREE = 1               # deferred frees
    STAGE_FLUSH = 2              # devices are notified, once
    STAGES = 3

cdef struct event_counters_t:
    uint64_t turns
    uint64_t events
    uint64_t timers_fired
    uint64_t interrupts
    uint64_t polls               # calls of pollers
    uint64_t polls_empty         # that found nothing to do
    uint64_t sleeps
    uint64_t exceptions          # that a handler raised; the timer wheel counts its timers'
    uint64_t long_handlers       # the same
    uint64_t messages


cdef class Poller:
    """An idle callback: while it is started the loop does not sleep."""
    cdef int poll(self, int budget) except -1        # at most `budget` units of work; how many were done


cdef class PollerFunction(Poller):
    """Calls a Python function with the budget; it returns how many units of work it did."""
    cdef readonly object function


cdef class EndOfTurn:
    cdef int end_of_turn(self) except -1             # called in every turn; cheap when there is nothing to do


cdef class EndOfTurnFunction(EndOfTurn):
    """Calls a Python function."""
    cdef readonly object function


cdef class EventManager(Representative):
    """A turn: interrupts, messages from other cores, the events queued when the turn began, timers due, each poller
    within its budget, end of turn by stage. Handlers, pollers and hooks may start, stop and queue any of them; what an
    exception leaves is logged and counted, and the turn goes on (but KeyboardInterrupt and SystemExit pass through).
    Ebbs that were rebound in the turn are replaced when it has ended. One that takes over from another needs its clock and
    interrupts, and goes on with all that is queued, started and hooked, with its counters and within its run().
    """
    cdef readonly uint64_t now                       # ns; read once a turn; Core.now is the same
    cdef readonly Clock clock
    cdef readonly Interrupts interrupts
    cdef event_counters_t counts
    cdef uint64_t handler_limit                      # ns that a handler may take before it is reported
    cdef uint64_t mark                               # clock at the end of the last handler
    cdef readonly EventManager successor             # None, until it was replaced
    cdef list queue                                  # events of the next turn
    cdef list batch                                  # of this turn; None where they ran
    cdef Py_ssize_t batch_next
    cdef list pollers                                # None: stopped while the list was walked
    cdef list hooks                                  # STAGES lists; None in them: the same
    cdef bint ragged                                 # there are such Nones
    cdef dict quiet                                  # poller or hook that failed -> when to log it again
    cdef list graces                                 # of call_rcu: (own turn, others that were in a turn, function)
    cdef bint stopping
    cdef uint64_t asleep_at                          # when run() began to sleep last
    cdef bint awake                                  # run() did not sleep since the last turn
    cdef bint reported                               # a handler of this turn was
    cpdef object start_polling(self, Poller poller)
    cpdef object stop_polling(self, Poller poller)
    cpdef object at_end_of_turn(self, EndOfTurn hook, int stage)
    cpdef object remove_end_of_turn(self, EndOfTurn hook)
    cpdef object spawn(self, object function)        # function() in a later turn; or a coroutine, run as a Task
    cpdef object spawn_remote(self, uint32_t core, uint32_t ebb_id, str method, bytes message)
    # function() in a turn that begins after every core has ended a turn. What is between turns, asleep, or has no event
    # manager yet holds no reference of the turns before (references are never cached across events): it counts as ended.
    cpdef object call_rcu(self, object function)
    cpdef bint turn(self) except -1                  # one turn, never sleeps; whether anything was done
    cpdef object run(self)                           # turns, and sleeps between them, until stop()
    cpdef object stop(self)                          # run() ends with the present turn, or before its first
    cpdef int64_t idle_time(self) except -2          # ns that the loop may sleep now: 0 work is left, -1 for ever
    # Asked after each event whether this turn runs the next one; `spent`: ns since its events began. False: those left
    # run in the next turn, before what is queued by then.
    cpdef bint goes_on(self, uint64_t spent) except -1
    cdef EventManager _run(self, object collector)   # turns until stop(), None; or until replaced, by what
    cdef int _sleep(self, int64_t timeout) except -1
    cdef int _forget(self) except -1
    cdef int _current(self) except -1                # RuntimeError: another one took over
    cdef int _rebind(self) except -1
    cdef int _turn(self) except -1
    cdef int _interrupts(self) except -1
    cdef int _messages(self, Py_ssize_t count) except -1
    cdef int _events(self) except -1
    cdef int _timers(self) except -1
    cdef int _poll(self) except -1
    cdef int _end_of_turn(self) except -1
    cdef int _graces(self) except -1
    cdef int _compact(self) except -1
    cdef int _failed(self, object handler, object exception) except -1
    cdef int _failed_again(self, object handler, object exception) except -1
    cdef int _measure(self, object handler) except -1

cdef inline EventManager events():
    return <EventManager>representative(EVENT_MANAGER_ID)

cdef inline uint64_t turn_time() noexcept:
    """events().now, within a turn: a core runs."""
    return running.now
