"""An interface: a device's queue, or a VLAN on it, with addresses. Checks the link layer of received frames and hands
them on."""
from cython cimport final
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from netapp.drivers.device cimport FrameReceiver, Queue
from netapp.iobuf.chain cimport Chain
from netapp.iobuf.pool cimport iobuf_t
from netapp.net.counters cimport net_counters_t
from netapp.net.local cimport LocalAddress
from netapp.net.manager cimport NetworkManager
from netapp.net.neighbours cimport Neighbours


cdef enum:
    # Of Interface.destination().
    NOT_OURS = 0
    OURS
    GROUP                        # broadcast, or 224.0.0.1


@final
cdef class Interface(FrameReceiver):
    """Lives as long as a path over it does; after close() nothing goes through it any more."""
    cdef readonly str name
    cdef readonly uint32_t mtu               # of an IP packet, bytes
    cdef readonly uint32_t features          # Device.features
    cdef readonly uint16_t vlan              # its frames have this tag; 0: none
    cdef readonly bint closed
    cdef readonly Neighbours neighbours
    cdef Queue queue                         # of a VLAN: one that puts the tag in
    cdef NetworkManager manager
    cdef net_counters_t* counters            # the manager's
    cdef uint64_t link_address               # as ethernet.address_at() reads it
    cdef uint8_t link_bytes[6]
    cdef list locals                         # of LocalAddress, the first one first
    cdef dict vlans                          # those on the same device, by tag; of an untagged one
    # Of the first address in use; 0, 0 and 255.255.255.255: there is none. IPv4 addresses are as in memory.
    cdef uint32_t ipv4
    cdef uint32_t netmask
    cdef uint32_t broadcast                  # of the subnet
    cdef bint several                        # the node has more addresses than this one
    cdef LocalAddress local(self, uint32_t address)          # also a TENTATIVE one; None: not on this interface
    cdef bint owns(self, uint32_t address) noexcept          # its own address, in use
    cdef bint is_broadcast(self, uint32_t address) noexcept  # of one of its subnets
    cdef bint is_neighbour(self, uint32_t address) noexcept  # one host's address, on one of its subnets, not ours
    # What becomes of packets that are not to its first address; NOT_OURS is counted. `to_group`: of the link.
    cdef int destination(self, uint32_t address, bint to_group)
    cdef bint is_strange(self, uint32_t source)              # one of the node's addresses, or of a subnet's broadcast
    cdef uint32_t source_for(self, uint32_t next_hop) noexcept   # the own address on its subnet, else the first one
    cdef bint transmit(self, Chain frame) except -1          # False: dropped, the ring is full (counted)
    cdef void choose(self)                                   # after an address was taken into use, or is gone
    cdef void close(self)
    cdef int _receive(self, Chain frame, uint16_t ethertype, bint to_group) except -1
    cdef int _receive_tagged(self, Chain frame, bint to_group) except -1

cdef inline bint writable(const iobuf_t* view) noexcept:
    """Nobody else sees the bytes under `view`: an answer may be written over the question."""
    return view.slot.references == 1 and view.slot.home != &view.slot.home.pool.external

cdef Interface make_interface(NetworkManager manager, Queue queue, str name)     # of the frames without a tag
cdef Interface make_vlan(Interface untagged, uint16_t identifier)
