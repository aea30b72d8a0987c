"""A connection's state (RFC 9293, 3.3.1), with its names. What happens to it is in the files beside this one."""
from cython cimport final
from cpython.ref cimport PyObject
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from netapp.event.timer cimport timer_entry_t
from netapp.iobuf.chain cimport Chain
from netapp.iobuf.pool cimport iobuf_t
from netapp.net.transport cimport Path
from netapp.tcp.congestion.control cimport CongestionControl
from netapp.net.key cimport key_t
from netapp.tcp.extras cimport Extras
from netapp.tcp.handler cimport HandlerBinding, TcpHandler
from netapp.tcp.listener cimport Listener
from netapp.tcp.manager cimport TcpManager
from netapp.tcp.reassembly cimport Reassembly

cdef enum:
    # States, in an order such that `>= ESTABLISHED` is "synchronized and past the handshake".
    CLOSED = 0
    LISTEN
    SYN_SENT
    SYN_RECEIVED
    ESTABLISHED
    FIN_WAIT_1
    FIN_WAIT_2
    CLOSE_WAIT
    CLOSING
    LAST_ACK
    TIME_WAIT

cdef enum:
    # Connection.flags
    ACK_NOW = 1                  # an acknowledgment goes out at the end of the turn
    ACK_DELAYED = 2              # one is owed; it may wait for data or its timer
    TOUCHED = 4                  # on the manager's list for the end of the turn
    FIN_QUEUED = 8               # close() was called: FIN follows the send queue
    FIN_SENT = 16
    PAUSED = 32                  # pause(): data stays in the stack
    IN_CALLBACK = 64
    WAS_FULL = 128               # the send queue was full: writable() is owed at low water
    STARVED = 256                # on the manager's list of those not fed because of send_limit_total
    IN_RECOVERY = 512            # fast recovery (RFC 6582)
    WINDOW_SCALING = 1024        # both sides offered it (RFC 7323, 2.2)
    SYN_TIMED_OUT = 2048         # RFC 6298 (5.7)
    FIN_RECEIVED = 4096
    TIMING = 8192                # an RTT measurement runs
    IN_RECEIVE = 16384           # within receive(), where the send queue may overshoot
    FIN_AHEAD = 32768            # a FIN came, at rcv_fin, but not yet all before it
    # Callbacks that are due.
    UP_CONNECTED = 0x10000
    UP_PEER_CLOSED = 0x20000
    UP_WRITABLE = 0x40000
    UP_CLOSED = 0x80000
    UP_DELIVERY_DELAYED = 0x100000
    UP_URGENT = 0x200000
    UP_SOFT_ERROR = 0x400000
    UP_ANY = 0x7F0000
    NAGLE = 0x1000000            # small segments wait for acknowledgments (RFC 9293, 3.7.4)
    SND_URGENT = 0x2000000       # extras.snd_up is ahead of SND.UNA
    PARTIAL = 0x8000000          # IN_RECOVERY: a partial acknowledgment came
    RCV_URGENT = 0x4000000       # extras.rcv_up is ahead of what was handed up

cdef enum:
    # Connection.deadlines
    TIMER_RETRANSMIT = 0
    TIMER_PERSIST
    TIMER_DELAYED_ACK
    TIMER_LINGER                 # end of TIME_WAIT, or of waiting in FIN_WAIT_2; before these, keep-alive
    TIMERS

@final
cdef class Connection:
    """Ownership: the manager's table holds a connection from open to CLOSED; its handler and it hold each other until
    closed() returned. send_queue holds what the peer has not acknowledged: it begins at snd_una (at iss + 1 while
    the SYN is unacknowledged)."""
    cdef key_t key
    cdef uint32_t hash
    cdef uint32_t flags
    cdef uint8_t state
    cdef readonly TcpManager tcp
    cdef PyObject* next_touched              # with TOUCHED: in the manager's queue
    cdef TcpHandler handler                  # None before the handshake of a passive open, and after closed()
    cdef HandlerBinding binding
    cdef object factory                      # of an active open
    cdef Listener listener                   # of a passive open, until it has a handler
    cdef Path path
    cdef uint64_t pseudo                     # the pseudo-header's sum without the length
    cdef CongestionControl congestion
    cdef object error                        # what closed() will say
    cdef Extras extras                       # None: not used

    # Send sequence space
    cdef uint32_t iss
    cdef uint32_t snd_una
    cdef uint32_t snd_nxt                    # highest sent, and one
    cdef uint32_t snd_next_cut               # where output goes on: snd_nxt, or below it after a time-out
    cdef uint32_t snd_wnd                    # bytes, scaled
    cdef uint32_t snd_wl1
    cdef uint32_t snd_wl2
    cdef uint32_t max_snd_wnd                # largest window the peer ever offered
    cdef readonly uint16_t snd_mss           # payload bytes of a full segment
    cdef uint16_t max_snd_mss                # the same without regard to the path MTU
    cdef uint8_t snd_wnd_shift
    cdef uint8_t ds_field                    # of the IP header (RFC 2474), in all that is sent
    cdef Chain send_queue
    cdef iobuf_t* cut_view                   # in send_queue, where snd_next_cut is; NULL: snd_next_cut is snd_una
    cdef uint8_t* cut_at                     # the byte, within cut_view; may be its end

    # Receive sequence space
    cdef uint32_t irs
    cdef uint32_t rcv_nxt
    cdef uint32_t rcv_adv                    # right edge of the window offered; never moves back
    cdef uint32_t rcv_unacked                # payload bytes since our last acknowledgment
    cdef uint32_t rcv_fin                    # with FIN_AHEAD
    cdef uint16_t rcv_mss                    # what our MSS option says
    cdef uint16_t rcv_largest                # longest text of a segment so far, between 536 and rcv_mss
    cdef uint8_t rcv_wnd_shift
    cdef Chain received                      # in order, not yet handed up; None: nothing
    cdef Reassembly reassembly               # None: nothing is out of order

    # Timing (RFC 6298), ns
    cdef readonly uint64_t srtt              # 0: not measured yet
    cdef uint64_t rttvar
    cdef uint64_t rto
    cdef uint64_t timed_at
    cdef uint32_t timed_seq                  # the measurement ends with an acknowledgment of this
    cdef uint8_t backoff                     # doublings of the time-out
    cdef uint64_t heard_at                   # the last acknowledgment
    cdef uint64_t unanswered_since           # first time-out since then; earlier: none
    cdef uint64_t deadlines[TIMERS]          # 0: off
    cdef timer_entry_t timer

    # Congestion control (RFC 5681, 6582), bytes
    cdef public uint32_t cwnd
    cdef public uint32_t ssthresh
    cdef uint32_t recover
    cdef public uint32_t bytes_acked         # towards the next increase of cwnd (RFC 3465)
    cdef uint8_t duplicate_acks
    cdef uint8_t timeouts                    # in a row, of what begins at timed_out_una
    cdef uint32_t timed_out_una
    cdef uint64_t last_send                  # ns

    # Challenge ACKs (RFC 5961, 7)
    cdef uint64_t challenges_since           # ns
    cdef uint8_t challenges

    # For appliances, mostly through TcpHandler.
    cpdef object send(self, object data)     # a Chain, which is emptied, or immutable bytes-like
    cpdef object send_urgent(self, object data)              # the same; the peer is told that it is urgent
    cpdef object close(self)
    cpdef object abort(self)
    cpdef object pause(self)
    cpdef object resume(self)
    cpdef object keepalive(self, uint64_t idle=*, uint64_t interval=*, uint32_t count=*)

# The value, unless it is no traffic class: ValueError.
cdef uint8_t checked_traffic_class(object value) except? 255
