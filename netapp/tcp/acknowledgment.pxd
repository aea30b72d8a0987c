"""The acknowledgment of a segment: progress, duplicates and recovery (RFC 9293, RFC 5681, RFC 6582), the window."""
from libc.stdint cimport uint64_t
from netapp.tcp.connection cimport Connection
from netapp.tcp.manager cimport segment_t

# For a synchronized connection and an acceptable ACK, SND.UNA <= SEG.ACK <= SND.NXT.
cdef int acknowledgment_arrives(Connection c, segment_t* segment, uint64_t now) except -1
