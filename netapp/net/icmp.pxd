"""ICMP (RFC 792; RFC 1122, 3.2.2): echo is answered in place, errors are in icmp_errors."""
from cython cimport final
from netapp.net.transport cimport Transport


@final
cdef class Icmp(Transport):
    pass
