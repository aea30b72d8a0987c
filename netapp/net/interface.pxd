"""An interface: a device's queue with an address. Checks the link layer of received frames and hands them on."""
from cython cimport final
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from netapp.drivers.device cimport FrameReceiver, Queue
from netapp.iobuf.chain cimport Chain
from netapp.iobuf.pool cimport iobuf_t
from netapp.net.counters cimport net_counters_t
from netapp.net.manager cimport NetworkManager
from netapp.net.neighbours cimport Neighbours


@final
cdef class Interface(FrameReceiver):
    """Lives as long as a path over it does; after close() nothing goes through it any more."""
    cdef readonly str name
    cdef readonly uint32_t mtu               # of an IP packet, bytes
    cdef readonly uint32_t features          # Device.features
    cdef readonly uint32_t prefix_length
    cdef readonly bint closed
    cdef readonly Neighbours neighbours
    cdef Queue queue
    cdef NetworkManager manager
    cdef net_counters_t* counters            # the manager's
    cdef uint64_t link_address               # as ethernet.address_at() reads it
    cdef uint8_t link_bytes[6]
    cdef uint32_t ipv4                       # its own address; IPv4 addresses are as in memory
    cdef uint32_t netmask
    cdef uint32_t broadcast                  # of the subnet
    cdef bint is_neighbour(self, uint32_t address) noexcept  # one host's address, on this subnet, not ours
    cdef bint transmit(self, Chain frame) except -1          # False: dropped, the ring is full (counted)
    cdef void close(self)

cdef inline bint writable(const iobuf_t* view) noexcept:
    """Nobody else sees the bytes under `view`: an answer may be written over the question."""
    return view.slot.references == 1 and view.slot.home != &view.slot.home.pool.external

cdef Interface make_interface(NetworkManager manager, Queue queue, object address, str name)
