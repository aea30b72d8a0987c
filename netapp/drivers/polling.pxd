"""Adaptive polling, one Ebb for every device queue (design: "Devices").

  polling    the queue is looked at in every turn; its interrupts are masked
  arming     nothing came for as long as waiting pays: interrupts are enabled, and the queue is looked at once more
  interrupt  the loop may sleep; an interrupt masks, and starts polling again

An idle spin lasts at most `spin` ns, and none is begun while the expected gap between frames is longer than what
sleeping costs the CPU. Under a virtual clock, which stands still in a spin, `spin` must be 0: then the first empty poll
arms.
"""
from cython cimport final
from libc.stdint cimport uint32_t, uint64_t
from netapp.drivers.device cimport Queue
from netapp.ebb.core cimport Representative
from netapp.event.contracts cimport InterruptHandler, Interrupts
from netapp.event.manager cimport EndOfTurn, Poller

cdef enum:
    STATE_STOPPED = 0
    STATE_POLLING = 1
    STATE_ARMING = 2
    STATE_INTERRUPT = 3

cdef struct polling_counters_t:
    uint64_t interrupts
    uint64_t polls
    uint64_t polls_empty
    uint64_t frames
    uint64_t spins               # waits begun after the last frame
    uint64_t to_polling
    uint64_t to_arming
    uint64_t rearmed             # arming found frames: back to polling
    uint64_t to_interrupt


@final
cdef class AdaptivePolling(Representative):
    cdef readonly uint64_t spin
    cdef Interrupts interrupts
    cdef list pollers
    cdef polling_counters_t count
    cpdef object attach(self, Queue queue)               # begins to poll it
    cpdef object detach(self, Queue queue)
    cpdef str state(self, Queue queue)


@final
cdef class QueuePoller(Poller):
    cdef AdaptivePolling owner
    cdef Queue queue
    cdef QueueInterrupt handler
    cdef object source                       # the queue's interrupts; what a closed device had is detached too
    cdef QueueFlush at_end
    cdef uint32_t state
    cdef bint spinning
    cdef uint64_t last_frame                 # when
    cdef uint64_t expected_gap               # ns between frames: moving average
    cdef int _arm(self, int budget) except -1
    cdef int _begin(self) except -1
    cdef int _end(self) except -1


@final
cdef class QueueInterrupt(InterruptHandler):
    cdef QueuePoller poller


@final
cdef class QueueFlush(EndOfTurn):
    cdef Queue queue
