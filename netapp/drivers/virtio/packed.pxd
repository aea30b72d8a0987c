"""Many buffers of a packed virtqueue (2.8) at once, without IN_ORDER; section numbers are VIRTIO 1.2's."""
from netapp.drivers.virtio.buffers cimport batch_t, kept_t
from netapp.drivers.virtio.virtqueue cimport virtqueue_t
from netapp.iobuf.pool cimport pool_t

# As look_split(), of up to `most` buffers: what is used is made available again where it is.
cdef bint look_packed(virtqueue_t* queue, batch_t* batch, kept_t* kept, pool_t* pool, int most) noexcept
# All frames that were sent: of how many descriptors; -1: the device breaks the rules.
cdef int reap_packed(virtqueue_t* queue, kept_t* kept) noexcept
