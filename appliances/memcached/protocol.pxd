"""A protocol: how commands are read and answered."""
from appliances.memcached.session cimport Session
from appliances.memcached.store cimport Store
from appliances.memcached.worker cimport Worker
from netapp.iobuf.chain cimport Chain
from netapp.iobuf.cursor cimport Cursor


cdef class Protocol:
    # The next command, at the cursor, which is on `data`; replies go to worker.reply. False: no more for now, as not all
    # of it is there (the cursor is where it began), or the session said that it leaves or yields.
    cdef bint command(self, Session session, Worker worker, Store store, Cursor cursor, Chain data) except -1
    # The answer to the command of session.begin(): how Store.store() took its value, or session.BAD_DATA.
    cdef bytes stored(self, Session session, Worker worker, Store store, int result)
    # Whether `data` may complete the command that waits for its rest.
    cdef bint completes(self, Worker worker, Chain data) except -1
    # Of a command that is too long to wait for its rest the session leaves.
    cdef int bound(self, Session session, Worker worker, Chain waiting) except -1


cdef class Negotiation(Protocol):
    cdef bint command(self, Session session, Worker worker, Store store, Cursor cursor, Chain data) except -1
