"""Many buffers of a split virtqueue (2.7) at once, without IN_ORDER; section numbers are VIRTIO 1.2's. False: the device
breaks the rules; what it did before that is done here as well."""
from netapp.drivers.virtio.buffers cimport batch_t, kept_t
from netapp.drivers.virtio.virtqueue cimport virtqueue_t
from netapp.iobuf.pool cimport pool_t

# As many used receive buffers, of one slot each, with another view in the place of each. All buffers are the device's,
# so that both rings are at the same place; and of a descriptor only the address changes. While a view is the device's
# its length says in which look it was put there: in the same one it cannot be back.
cdef bint look_split(virtqueue_t* queue, batch_t* batch, kept_t* kept, pool_t* pool, int count) noexcept
# As many frames that were sent.
cdef bint reap_split(virtqueue_t* queue, kept_t* kept, int count) noexcept
