"""The meta commands mg, ms, md, ma, me and mn of the text protocol."""
cimport cython
from libc.stdint cimport int64_t, uint64_t
from appliances.memcached.item cimport Item
from appliances.memcached.session cimport Session
from appliances.memcached.store cimport Store
from appliances.memcached.worker cimport Protocol, Worker

cdef int SET, REPLACE, CAS, APPEND, STORED, NO_MEMORY, CREATED
cdef uint64_t KEY_MAX


@cython.final
cdef class Flags:
    """A meta command's key and flags."""
    cdef readonly bytes key                           # as it is stored
    cdef readonly list tokens                         # of the line
    cdef readonly list flags                          # those behind the key
    cdef readonly set given                           # their names
    cdef readonly dict numbers                        # by flag; of N, T and R on the store's clock
    cdef readonly bytes error                         # None: they are good
    cdef readonly bytes mode                          # M's
    cdef readonly bint binary                         # b: the key came in base64
    cdef readonly bint won                            # returned() told the client to renew the item
    cdef bytes _parse(self, Worker worker, Store store)
    # What is sent back for those of the flags in `known`, in their order; of the item also what they do to it. Raises
    # Refused: O is too long. `binary`: the key is shown in base64; `created`: the item was not there before.
    @cython.locals(found=bytes)
    cpdef bytes returned(self, bytes known, Item item, int64_t now, bint binary, bint created)


cdef class Meta(Protocol):
    cdef readonly dict modes
    cdef readonly dict commands
    cdef bytes stored(self, Session session, Worker worker, Store store, int result)
