"""ICMP errors (RFC 1122, 3.2.2): those that came go to the transport of the packet that they quote; those of ours are
limited in number."""
from cython cimport final
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from netapp.iobuf.chain cimport Chain
from netapp.net.manager cimport NetworkManager
from netapp.net.transport cimport ip_info_t

cdef enum:
    DESTINATIONS = 256


@final
cdef class ErrorLimit:
    """Token buckets: 1,000 errors a second in all and one a second to a destination, the latter kept by a keyed hash, so
    that some share one; 50 and 6 at once."""
    cdef uint64_t secret[2]
    cdef uint64_t next_all                   # ns: the bucket is full again at this time
    cdef uint64_t next[DESTINATIONS]
    cdef bint take(self, uint32_t destination, uint64_t now) noexcept    # False: not now

# `packet`: a message from its header on, its checksum verified.
cdef int error_received(NetworkManager manager, Chain packet, ip_info_t* info) except -1
# Tells the source of `packet`, which begins at its transport's header as receive_packet() got it, and stays as it is.
# Sends nothing where RFC 1122, 3.2.2, forbids it, or too many were sent; each is counted. `rest`: the header's last word.
cdef int send_error(Chain packet, ip_info_t* info, uint8_t type, uint8_t code, uint32_t rest) except -1
