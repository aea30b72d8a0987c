"""Many clients of a small service at the far end of a memory wire: each does the same once a round, ten in a turn."""
from libc.stdint cimport uint8_t, uint32_t
from bench.clients cimport Clients
from netapp.iobuf.chain cimport Chain
from netapp.tcp.handler cimport TcpHandler

cdef enum:
    IN_A_TURN = 10
    TEXT_BYTES = 64              # of a request, and of its reply
    STRIDE = 15485863            # a prime: clients are visited in an order that neither hash nor memory has

cdef enum:
    # What each client does in a round.
    REQUEST = 0                  # sends a request, which acknowledges the reply before it, and waits for its reply
    ACKNOWLEDGMENT               # acknowledges the reply by a segment of its own
    TEXT                         # sends text that the service keeps quiet about, and waits for its acknowledgment
    END                          # asks the service to close, closes as well: TIME-WAIT is the node's


cdef class Service(TcpHandler):
    """Does what the first byte of the text says: reply, close or keep quiet."""
    cpdef object receive(self, Chain data)


cdef class Crowd(Clients):
    cdef uint8_t kind                        # of the round
    cdef uint32_t first                      # client of the round
    cdef uint32_t count                      # of clients in it
    cdef uint32_t visited                    # of these
    cdef int _act(self, uint32_t number) except -1
    cpdef object begin(self, uint8_t kind, uint32_t first, uint32_t count)
