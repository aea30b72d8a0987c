"""The tcp Ebb: listeners, the connection table, configuration and counters of a core's TCP."""
from cpython.ref cimport PyObject
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from netapp.ebb.core cimport Representative, representative
from netapp.ebb.ids cimport TCP_ID
from netapp.net.address cimport address_t
from netapp.event.manager cimport EndOfTurn, Poller
from netapp.net.transport cimport Transport, ip_info_t
from netapp.iobuf.chain cimport Chain
from netapp.tcp.connection cimport Connection
from netapp.net.key cimport key_t
from netapp.tcp.listener cimport Listener
from netapp.tcp.options cimport options_t
from netapp.tcp.table cimport ConnectionTable
from netapp.tcp.handler cimport HandlerBinding

cdef struct segment_t:
    # A segment's header in host byte order (RFC 9293, 3.3.1: SEG.…), and its text's length.
    uint32_t ports               # remote << 16 | local
    uint32_t seq
    uint32_t ack
    uint32_t length              # bytes of text
    uint32_t urgent              # SEG.UP, with FLAG_URG only
    uint16_t window              # as in the header, not scaled
    uint8_t flags
    options_t options            # parsed for SYNs only

cdef struct tcp_config_t:
    uint64_t receive_window
    uint64_t send_limit
    uint64_t send_limit_total
    uint32_t backlog
    uint32_t max_connections
    uint64_t minimum_rto
    uint64_t initial_rto
    uint64_t maximum_rto
    uint64_t delayed_ack
    uint64_t give_up
    uint64_t syn_give_up
    uint64_t syn_received_give_up
    uint64_t time_wait
    uint64_t fin_wait_2
    uint8_t window_scale
    uint8_t ttl

cdef struct tcp_counters_t:
    uint64_t segments_in
    uint64_t segments_out
    uint64_t retransmitted
    uint64_t fast_retransmits
    uint64_t timeouts
    uint64_t window_probes
    uint64_t keepalive_probes
    uint64_t negative_advice     # times that IP was told to look for another way (R1)
    uint64_t duplicate_acks
    uint64_t out_of_order
    uint64_t connects            # active opens
    uint64_t accepts             # passive opens that reached ESTABLISHED
    uint64_t closed              # connections that ended
    uint64_t resets_in
    uint64_t resets_out
    uint64_t challenge_acks
    uint64_t challenges_withheld # beyond what RFC 5961, 7, lets a connection send
    uint64_t half_open_evicted   # for a newer one, after their SYN was not answered
    uint64_t stalled_evicted     # owed most and took nothing, when far too much was queued
    uint64_t time_wait_evicted   # before its time, for a newer connection
    uint64_t icmp_hard           # errors that ended an attempt to connect
    uint64_t icmp_soft           # others, of which the handler was told
    uint64_t icmp_mtu            # segments made smaller
    uint64_t icmp_unmatched      # errors of no connection
    uint64_t icmp_implausible    # of one, but not of what it has on its way
    uint64_t callback_exceptions
    uint64_t coalesced_bytes     # of waiting data, copied to pin less
    uint64_t exhausted           # segments not sent, or data not kept, for want of slots
    uint64_t transmit_full       # times that output stopped at a full ring
    uint64_t dropped_short
    uint64_t dropped_header
    uint64_t dropped_checksum
    uint64_t dropped_multicast
    uint64_t dropped_options
    uint64_t dropped_no_connection
    uint64_t dropped_backlog     # SYNs, and ACKs that would have made one more wait
    uint64_t dropped_table_full
    uint64_t dropped_sequence
    uint64_t dropped_acknowledgment
    uint64_t dropped_flags
    uint64_t dropped_window      # text beyond the window
    uint64_t dropped_reassembly  # no range left
    uint64_t dropped_closed      # text after the connection was aborted or its FIN

cdef struct touched_t:
    # A queue of Connections linked by `next_touched`; owns a reference to each.
    PyObject* first              # NULL: empty
    PyObject* last


cdef class TcpTransport(Transport):
    cdef TcpManager tcp                      # let go of in destroy()


cdef class Output(EndOfTurn):
    """Sends, at the end of the turn, for every connection that was touched."""


cdef class Retry(Poller):
    """Keeps the loop turning while a device's ring is full; the end of turn tries again."""


cdef class TcpManager(Representative):
    """One that takes over goes on with the old one's listeners, connections and counters, under its own configuration;
    what a connection has agreed on with its peer stays."""
    cdef TcpManager successor                # None, until it was replaced
    cdef tcp_config_t config
    cdef tcp_counters_t counts
    cdef ConnectionTable table
    cdef dict listeners                      # (port) -> list of Listener
    cdef dict bindings                       # handler class -> HandlerBinding
    cdef uint64_t secret[2]                  # RFC 6528
    cdef uint16_t next_port                  # RFC 6056's counter
    cdef touched_t touched                   # connections with output due at the end of the turn
    cdef touched_t blocked                   # of these, those that met a full ring: they go on with the next
    cdef uint64_t queued_bytes               # in all send queues
    cdef uint64_t relieved_at                # ns: the last look for those that take nothing
    cdef dict starved                        # connections not fed because of send_limit_total, in order; values None
    cdef object in_time_wait                 # those that are, in order: an OrderedDict; values None
    cdef dict unread                         # ended in order, but paused before all was read; values None
    cdef Chain segment                       # the next one to send; used again where the device emptied it at once
    cdef EndOfTurn output_hook
    cdef TcpTransport transport
    cdef Poller retry                        # started while a device's ring is full: the loop does not sleep
    cdef bint retrying
    cdef int _current(self) except -1        # RuntimeError: it was replaced
    cdef int send_touched(self) except -1
    cdef int feed_starved(self) except -1
    cdef bint relieve(self, Connection c) except -1  # of what is queued in all; False: c cannot be fed now
    cdef bint make_room(self) except -1      # for one more connection; False: there is none
    cdef int attach(self, Connection c, object handler) except -1    # TypeError: no TcpHandler
    cdef Connection new_connection(self, key_t* key, uint32_t hashed)
    cdef int syn_arrives(
        self, Listener listener, key_t* key, uint32_t hashed, segment_t* segment, Chain payload, Connection before,
        uint64_t now,
    ) except -1                              # before: the one in TIME_WAIT that it replaces; None
    cdef Listener listener_of(self, uint16_t port, address_t address)
    cdef bint accept(self, Connection c, Listener listener) except -1    # makes the handler; False: the connection ended
    cdef int refuse_connection(self, Connection c, segment_t* segment) except -1     # RST; the connection stays
    cdef bint keep_out_of_order(self, Connection c, uint32_t seq, Chain data) except -1  # False: no room
    cpdef list connections(self)

cdef inline TcpManager tcp():
    return <TcpManager>representative(TCP_ID)
