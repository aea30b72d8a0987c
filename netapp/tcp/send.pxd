"""Output: cutting segments from the send queue as views, and the headers before them."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from netapp.net.transport cimport ip_info_t
from netapp.tcp.connection cimport Connection
from netapp.tcp.manager cimport TcpManager, segment_t

cdef int output(Connection c, uint64_t now) except -1        # all that may go out now; 1: the device's ring is full
cdef int fit_path(Connection c) except -1                    # snd_mss, to the path MTU as it is now
cdef int retransmit(Connection c, uint64_t now) except -1    # one segment from snd_una
cdef int probe_window(Connection c, uint64_t now) except -1  # zero-window probe (RFC 9293, 3.8.6.1)
cdef int send_keepalive(Connection c) except -1              # RFC 9293, 3.8.4; 0: sent
cdef int acknowledge(Connection c) except -1                 # at once, not at the end of the turn; 0: sent
cdef int send_syn(Connection c, uint64_t now) except -1      # SYN, or SYN and ACK, by its state; again when repeated
cdef int send_reset(Connection c) except -1                  # RST of a synchronized connection
cdef int refuse(TcpManager tcp, segment_t* segment, ip_info_t* info) except -1   # RST for a segment without connection
cdef bint window_opens(Connection c) noexcept                 # whether an update is worth a segment (3.8.6.2.2)
