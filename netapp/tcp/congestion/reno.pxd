"""NewReno (RFC 5681, RFC 6582) with the initial window of RFC 6928."""
from netapp.tcp.congestion.control cimport CongestionControl


cdef class Reno(CongestionControl):
    pass
