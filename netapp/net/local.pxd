"""Our own addresses, and what others say of them: address conflict detection (RFC 5227)."""
from cython cimport final
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from netapp.event.timer cimport timer_entry_t
from netapp.net.interface cimport Interface

cdef enum:
    # LocalAddress.state
    TENTATIVE = 0                # asked for: neither accepted, nor answered for, nor sent from
    PREFERRED                    # ours
    LOST                         # somebody else's, or the interface is closed


@final
cdef class LocalAddress:
    """On an interface. Addresses are as in memory."""
    cdef uint32_t address
    cdef uint32_t netmask
    cdef uint32_t broadcast                  # of the subnet
    cdef readonly uint32_t prefix_length
    cdef uint8_t state
    cdef uint8_t sent                        # probes, or announcements
    cdef bint announces
    cdef bint gives_up
    cdef uint64_t conflict_at                # ns, of the last conflict that was told
    cdef uint64_t defended_at                # ns
    cdef timer_entry_t timer
    cdef Interface interface                 # None: LOST
    cdef int begin(self, object config) except -1            # an InterfaceConfig
    # An ARP packet of `mac` that claims the address, or asks for it before using it while we do the same.
    cdef int claimed(self, const uint8_t* mac) except -1
    cdef void end(self)
    cdef bint covers(self, uint32_t address) noexcept        # it is on the subnet
    cdef int _take(self) except -1
    cdef int _announce(self, uint64_t now) except -1
    cdef int _lose(self) except -1

cdef LocalAddress make_local(Interface interface, object address)    # an ipaddress.IPv4Interface
