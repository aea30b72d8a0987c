"""Congestion control written in plain Python, whose methods compiled code does not see (a vtable has no place for them).

    class Fixed(Reno):
        def start(self, c):
            c.cwnd = 65536
        def acknowledged(self, c, acked):
            pass

What the class does not define is done as its compiled base does it.
"""
from cython cimport final
from netapp.tcp.congestion.control cimport CongestionControl


@final
cdef class PythonCongestionControl(CongestionControl):
    """What connections call instead of `control`, which it keeps."""
    cdef CongestionControl control
    # Functions of Python classes, to be called with `control`; None where the class is compiled.
    cdef object on_start
    cdef object on_acknowledged
    cdef object on_loss_detected
    cdef object on_duplicate
    cdef object on_partial
    cdef object on_recovered
    cdef object on_timed_out
    cdef object on_idle
