"""Calling what may raise without a `try` on the way: it is called through a pointer of a type that raises nothing, and
returns -1 when it did; raised() then goes on raising."""

cdef extern from *:
    """
    /* Goes on raising what was raised already. */
    static inline int netapp_raised(void) { return -1; }
    """
    int raised "netapp_raised"() except -1
