"""A hierarchical timing wheel: set, cancel and fire in O(1). Deadlines are ns of the event manager's clock."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from netapp.ebb.core cimport Representative, representative
from netapp.ebb.ids cimport TIMER_ID
from netapp.event.contracts cimport Clock

cdef enum:
    TICK_BITS = 10               # a slot of level 0 is 1,024 ns wide
    LEVEL_BITS = 6               # 64 slots a level, each as wide as the level below
    LEVELS = 9                   # 10 + 9 * 6 = 64 bits

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

cdef struct timer_list_t:
    timer_entry_t* first
    timer_entry_t* last

cdef struct timer_counters_t:
    uint64_t fired
    uint64_t cascaded            # moves of an entry to a lower level
    uint64_t exceptions          # that a timer's function raised
    uint64_t long_handlers


cdef class TimerWheel(Representative):
    """Never fires early. Within one turn entries fire in the order of their deadlines, equal ones as they were set.

    What is set while the wheel fires, for whatever time, fires in a later advance().
    """
    # An entry lies at the level of the highest digit (of LEVEL_BITS bits) in which its tick differs from `current`.
    # So a level's entries are all earlier than those of the level above, and none lies behind `current`.
    cdef timer_list_t slots[LEVELS][64]
    cdef timer_list_t due                    # about to fire, in order; their level is LEVELS
    cdef uint64_t occupied[LEVELS]           # a bit for every slot that is not empty
    cdef uint64_t current                    # tick up to which slots were emptied
    cdef uint64_t bound                      # ns; nothing is due before
    cdef timer_counters_t counts
    cdef set held                            # Timers that are pending
    cdef Clock clock                         # to find Timers that take too long; None: nobody looks
    cdef uint64_t handler_limit              # ns
    cdef void set(self, timer_entry_t* entry, uint64_t deadline) noexcept    # moves it when pending
    cdef void cancel(self, timer_entry_t* entry) noexcept
    cpdef int advance(self, uint64_t now) except -1          # fires what is due; how many
    cpdef uint64_t next_deadline(self) noexcept              # a time not after the earliest deadline; 2**64-1: none
    cpdef Timer call_at(self, uint64_t deadline, object function)            # function()
    cdef void _place(self, timer_entry_t* entry) noexcept
    cdef void _unlink(self, timer_entry_t* entry) noexcept
    cdef void _collect(self, uint64_t now) noexcept

cdef inline TimerWheel timers():
    return <TimerWheel>representative(TIMER_ID)


cdef class Timer:
    """A callable set to a time; cancel() may be called at any time. Held by the wheel while pending."""
    cdef timer_entry_t entry
    cdef object function                     # None once it fired or was cancelled
    cdef TimerWheel wheel                    # the same
    cpdef object cancel(self)
