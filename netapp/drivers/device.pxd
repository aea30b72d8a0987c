"""The device contract. Wrappers (capture, faults) obey it and stack on any device."""
from libc.stdint cimport uint32_t, uint64_t
from netapp.iobuf.chain cimport Chain, offload_t

cdef enum:
    # Device.features: what the device does for frames that we transmit …
    FEATURE_CHECKSUM = 1         # completes CHECKSUM_PARTIAL
    FEATURE_TSO4 = 2             # cuts GSO_TCPV4 frames of up to 65,535 bytes of IP packet
    FEATURE_USO = 4              # the same of GSO_UDP_L4 frames
    # … and what it may hand us.
    FEATURE_RX_CHECKSUM = 16     # frames marked CHECKSUM_VALID (or CHECKSUM_PARTIAL, which counts as valid)
    FEATURE_RX_TSO4 = 32         # GSO_TCPV4 frames larger than the MTU, scattered over slots
    FEATURE_RX_USO = 64          # the same of GSO_UDP_L4 frames


cdef class FrameReceiver:
    cdef int receive_frame(self, Chain frame) except -1  # takes the frame over; never raises on account of its bytes


cdef class Queue:
    """A pair of receive and transmit rings; used by one core only.

    A received frame begins at its Ethernet header; its first view holds the whole frame or at least 256 bytes and lies
    in a slot with headroom. offload.csum_start and header_length of a frame to transmit count from its first byte.
    """
    cdef readonly Device device
    cdef FrameReceiver receiver                          # None: frames are dropped and counted
    cdef uint64_t* counter_values                        # as many as counter_names; owned by the subclass
    cdef readonly tuple counter_names
    cdef void set_receiver(self, FrameReceiver receiver) # wrappers put themselves between
    cdef int poll(self, int budget) except -1            # hands up to `budget` frames up, reaps completions; frames
    cdef bint transmit(self, Chain frame) except -1      # True: taken over. False: the ring is full, frame unchanged
    cdef int flush(self) except -1                       # tells the device about what was transmitted, once a turn
    cdef bint enable_interrupts(self) except -1          # True: frames are waiting already, no interrupt will tell
    cdef int disable_interrupts(self) except -1
    cdef object interrupt_source(self)                   # for Interrupts.attach
    cdef int acknowledge_interrupt(self) except -1       # it was raised; called before anything is looked at
    cpdef dict counters(self)


cdef class Device:
    cdef readonly str name
    cdef readonly bytes mac                              # 6 bytes
    cdef readonly uint32_t mtu                           # of the IP packet, bytes
    cdef readonly uint32_t features                      # FEATURE_…
    cdef readonly tuple queues
    cpdef dict counters(self)                            # summed over the queues
    cpdef object close(self)                             # idempotent; gives every slot back



cdef class QueueWrapper(Queue):
    """Hands every call on to `inner`; received frames come to `receive_frame`. A wrapper overrides what it changes."""
    cdef readonly Queue inner
    cdef Between between                                 # the inner queue's receiver
    cdef int _wrap(self, Device device, Queue inner) except -1
    cdef int receive_frame(self, Chain frame) except -1  # from the inner queue; receiver is not None
    cdef int close_queue(self) except -1                 # gives back what the wrapper holds


cdef class Between(FrameReceiver):
    cdef QueueWrapper queue


cdef class DeviceWrapper(Device):
    """A device around another; `queues` wrap the queues of `inner`."""
    cdef readonly Device inner
    cdef bint closed
    cdef int _wrap(self, Device inner, list queues) except -1


cdef object offload_tuple(offload_t* offload)            # as device.Offload
cdef int set_offload(offload_t* offload, object values) except -1
