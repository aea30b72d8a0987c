"""The callbacks of a connection. An appliance's sessions subclass TcpHandler, in Python or compiled."""
from netapp.iobuf.chain cimport Chain
from netapp.tcp.connection cimport Connection


cdef class TcpHandler:
    """Every call is legal inside a callback. An exception out of a callback aborts this connection only."""
    cdef readonly Connection connection      # from before connected() until closed() returned; else None
    cpdef object connected(self)
    cpdef object receive(self, Chain data)   # in-order bytes without message boundaries; the handler owns the chain
    cpdef object peer_closed(self)           # FIN came: no more data; sending stays allowed. Closes, unless overridden
    cpdef object writable(self)              # the send queue fell to low water after having been full
    cpdef object urgent(self, object left)   # the peer has urgent data, `left` bytes from the next to be received on
    cpdef object delivery_delayed(self)      # three retransmissions were not acknowledged; more follow
    cpdef object soft_error(self, object error)              # an OSError: ICMP says that a segment did not arrive
    cpdef object closed(self, object error)  # exactly once, the last call; None: both sides closed in order
    # The same calls of its connection.
    cpdef object send(self, object data)
    cpdef object close(self)
    cpdef object abort(self)
    cpdef object pause(self)
    cpdef object resume(self)


cdef class HandlerBinding:
    """The callbacks that a handler class defines in Python, bound once a class; None where it is compiled."""
    cdef object connected
    cdef object receive
    cdef object peer_closed
    cdef object writable
    cdef object urgent
    cdef object delivery_delayed
    cdef object soft_error
    cdef object closed

cdef HandlerBinding bind_class(object handler_class)
