"""Connections with output due at the end of the turn."""
from cpython.ref cimport Py_INCREF, PyObject
from netapp.tcp.connection cimport TOUCHED, Connection
from netapp.tcp.manager cimport touched_t

cdef inline void append_touched(touched_t* queue, Connection c) noexcept:
    c.flags |= TOUCHED
    c.next_touched = NULL
    Py_INCREF(c)
    if queue.first == NULL:
        queue.first = <PyObject*>c
    else:
        (<Connection>queue.last).next_touched = <PyObject*>c
    queue.last = <PyObject*>c

cdef inline void touch(Connection c) noexcept:
    """Output is due at the end of this turn."""
    if not c.flags & TOUCHED:
        append_touched(&c.tcp.touched, c)
