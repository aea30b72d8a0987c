"""Handing data and events up to the handler."""
from libc.stdint cimport uint64_t
from netapp.iobuf.chain cimport Chain
from netapp.tcp.connection cimport Connection

ctypedef int (*receive_t)(Connection c, Chain data) noexcept

cdef int text_arrives(Connection c, Chain data) except -1    # in-order bytes; takes data over
cdef int deliver(Connection c) except -1                     # runs the callbacks that are due, in order
cdef int finish(Connection c, object error) except -1        # to CLOSED: out of the table, closed(error) is due
cdef int give_up_unread(Connection c) except -1             # CLOSED, but paused before all was read: closed() at once
cdef int reset(Connection c, object error) except -1         # RST where the state calls for it, then finish()
