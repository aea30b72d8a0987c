"""Types for echo.py where it is compiled: what is not declared here stays Python."""
from netapp.iobuf.chain cimport Chain
from netapp.net.udp_socket cimport Endpoint, UdpHandler
from netapp.tcp.handler cimport TcpHandler


cdef class EchoSession(TcpHandler):
    cpdef object receive(self, Chain data)


cdef class EchoSocket(UdpHandler):
    cpdef object receive(self, Chain datagram, Endpoint source)
