"""What ICMP says of a connection's segments (RFC 9293, 3.9.2.2), as far as it is believed (RFC 5927)."""
from libc.stdint cimport uint32_t, uint64_t
from netapp.net.transport cimport icmp_error_t
from netapp.tcp.connection cimport Connection

# `seq`: of the segment that the error is about. 1: it fits what is on its way.
cdef int error_arrives(Connection c, icmp_error_t* error, uint32_t seq, uint64_t now) except -1
