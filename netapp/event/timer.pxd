"""A hierarchical timing wheel: set, cancel and fire in O(1). Deadlines are ns of the event manager's clock."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from netapp.ebb.core cimport Representative, representative
from netapp.ebb.ids cimport TIMER_ID

# Fires on the owner of an entry, which is not pending any more and may be set again at once.
ctypedef int (*timer_function_t)(void* owner, uint64_t now) except -1

cdef struct timer_entry_t:
    # Embedded in its owner, which must cancel it before it goes away. Zeroed memory is an entry that is not pending.
    timer_entry_t* next
    timer_entry_t* previous
    uint64_t deadline
    timer_function_t function
    void* owner                  # borrowed
    uint8_t level                # of the wheel; meaningful while pending
    uint8_t slot
    bint pending


cdef class TimerWheel(Representative):
    """Never fires early. Within one turn entries fire in the order of their deadlines."""
    cdef void set(self, timer_entry_t* entry, uint64_t deadline) noexcept    # moves it when pending
    cdef void cancel(self, timer_entry_t* entry) noexcept
    cdef int advance(self, uint64_t now) except -1           # fires what is due; how many
    cdef uint64_t next_deadline(self) noexcept               # a time not after the earliest deadline; 2**64-1: none
    cpdef Timer call_at(self, uint64_t deadline, object function)            # function()

cdef inline TimerWheel timers():
    return <TimerWheel>representative(TIMER_ID)


cdef class Timer:
    """A callable set to a time; cancel() may be called at any time. Held by the wheel while pending."""
    cdef timer_entry_t entry
    cdef object function
    cpdef object cancel(self)
