"""Where time goes: a clock that is read wherever a packet goes from one part of the way to the next.

A stopwatch that is not there costs nothing: what reads it are kinds of the device, of the event manager, of the tcp Ebb
and of handlers that take the usual ones' places. `netapp.node.breakdown` puts them there and reports.
"""
from cython cimport final
from libc.stdint cimport int64_t, uint64_t
from netapp.drivers.device cimport DeviceWrapper, QueueWrapper
from netapp.event.contracts cimport Clock
from netapp.event.manager cimport EventManager
from netapp.iobuf.chain cimport Chain
from netapp.net.udp_socket cimport Endpoint, UdpBinding, UdpHandler
from netapp.tcp.connection cimport Connection
from netapp.tcp.handler cimport HandlerBinding, TcpHandler
from netapp.tcp.manager cimport TcpManager

cdef enum:
    # What runs.
    DEVICE_IN = 0                # the queue is polled; interrupts are enabled
    NETWORK_IN                   # from a received frame to the handler
    APPLIANCE                    # callbacks, and the events that were queued
    NETWORK_OUT                  # end of turn: from the connection to the device
    DEVICE_OUT                   # transmit and flush
    TIMERS
    LOOP                         # the rest of the event loop: interrupts, what is between turns
    IDLE                         # turns that found nothing to do, whatever ran in them
    SLEEP
    OUTSIDE                      # turns are driven from outside, between them
    PARTS

cdef struct share_t:
    uint64_t time                # ns
    uint64_t intervals           # that it is made of


@final
cdef class Stopwatch:
    """One part runs at a time; times are exclusive and without gaps. Nothing is put on a stack: who enters a part says
    afterwards what goes on, so that an exception on the way misplaces no more than its own report."""
    cdef readonly Clock clock
    cdef readonly double cost                # ns that an interval takes to be measured, and is longer by
    cdef uint64_t last                       # when the part that runs began
    cdef int part
    cdef share_t turn[PARTS]                 # of this turn
    cdef share_t total[PARTS]                # of those before it
    cdef uint64_t began
    cdef uint64_t turn_frames_out            # when the turn began
    cdef readonly uint64_t turns             # that found something to do
    cdef readonly uint64_t idle_turns
    cdef readonly uint64_t requests          # calls of receive(): runs of bytes, or datagrams
    cdef readonly uint64_t frames_in
    cdef readonly uint64_t frames_out
    cdef int enter(self, int part) noexcept  # the one that ran before
    cdef int end_turn(self, bint found) noexcept
    cpdef object restart(self)               # forgets what was measured
    cpdef dict shares(self)                  # by the parts' names, (ns, intervals) as measured; and "all": ns since restart


@final
cdef class TimedQueue(QueueWrapper):
    cdef Stopwatch watch


@final
cdef class TimedDevice(DeviceWrapper):
    pass


@final
cdef class TimedEvents(EventManager):
    cdef Stopwatch watch


@final
cdef class TimedTcp(TcpManager):
    """Takes over from a TcpManager, whose configuration is its own, too."""
    cdef Stopwatch watch
    cdef HandlerBinding compiled             # of TimedHandler


@final
cdef class TimedHandler(TcpHandler):
    """In the place of another, which is called in the way that the connection would."""
    cdef Stopwatch watch
    cdef TcpHandler inner
    cdef HandlerBinding binding              # of `inner`


@final
cdef class TimedUdpHandler(UdpHandler):
    """The same of a socket. What is sent in a callback goes down at once: the way out is the appliance's but for the
    device's part."""
    cdef Stopwatch watch
    cdef UdpHandler inner
    cdef UdpBinding binding
