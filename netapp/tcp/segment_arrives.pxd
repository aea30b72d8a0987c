"""A segment arrives (RFC 9293, 3.10.7), for a connection that exists."""
from libc.stdint cimport uint64_t
from netapp.iobuf.chain cimport Chain
from netapp.tcp.connection cimport Connection
from netapp.tcp.manager cimport segment_t

# `payload` begins at the segment's first byte of text; it is taken over.
cdef int segment_arrives(Connection c, segment_t* segment, Chain payload, uint64_t now) except -1
# Text and FIN of a SYN: for when the handshake is done.
cdef int queue_with_syn(Connection c, segment_t* segment, Chain payload) except -1
cdef int learn_syn(Connection c, segment_t* segment) except -1   # what the peer's SYN says
