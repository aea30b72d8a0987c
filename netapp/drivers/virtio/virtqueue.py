"""Virtqueues, the driver's side. The interface is in the `.pxd`."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.libc.stdint import uint8_t, uint16_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.netapp.drivers.access import acquire16, bus_address, full_fence, index_add, index_sub, release16
from cython.cimports.posix.mman import MAP_ANONYMOUS, MAP_FAILED, MAP_PRIVATE, PROT_READ, PROT_WRITE, mmap, munmap

from netapp.drivers.virtio.features import EVENT_IDX, IN_ORDER, INDIRECT_DESC, RING_PACKED

_LINE = cython.declare(cython.size_t, 64)  # parts that one side writes share no cache line
# A device that counts to 65,536 before it interrupts again does so once in so many buffers, unless it is put off.
_PUT_OFF = cython.declare(uint16_t, 0x4000)


@cython.cfunc
@cython.exceptval(check=False)
def _aligned(length: cython.size_t) -> cython.size_t:
    return (length + _LINE - 1) // _LINE * _LINE


def make_virtqueue(size, features, scratch_bytes):
    made: Virtqueue = Virtqueue.__new__(Virtqueue)
    queue: cython.pointer(virtqueue_t) = cython.address(made.ring)
    packed: cython.bint = (features >> cython.cast(cython.int, RING_PACKED)) & 1 != 0
    descriptors: cython.size_t = _aligned(16 * cython.cast(cython.size_t, size))
    driver: cython.size_t = _aligned(4 if packed else 6 + 2 * cython.cast(cython.size_t, size))
    device: cython.size_t = _aligned(4 if packed else 6 + 8 * cython.cast(cython.size_t, size))
    memory: cython.p_void
    i: uint16_t
    made.memory_bytes = descriptors + driver + device + scratch_bytes
    # Zeroed, as both kinds begin (2.7.10.1, 2.8.13).
    memory = mmap(cython.NULL, made.memory_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    if memory == MAP_FAILED:
        made.memory_bytes = 0
        raise MemoryError
    made.memory = cython.cast(cython.pointer(uint8_t), memory)
    made.scratch = made.memory + descriptors + driver + device
    made.size = size
    queue.size = size
    queue.mask = size - 1
    if (features >> cython.cast(cython.int, IN_ORDER)) & 1:
        queue.kind = ORDERED
    else:
        queue.kind = PACKED if packed else SPLIT
    queue.event_index = (features >> cython.cast(cython.int, EVENT_IDX)) & 1 != 0
    queue.indirect = (features >> cython.cast(cython.int, INDIRECT_DESC)) & 1 != 0
    queue.buffers = cython.cast(cython.pointer(buffer_t), calloc(size, cython.sizeof(buffer_t)))
    queue.order = cython.cast(cython.pointer(uint16_t), calloc(size, cython.sizeof(uint16_t)))
    if queue.buffers == cython.NULL or queue.order == cython.NULL:
        raise MemoryError
    for i in range(size):
        queue.buffers[i].next = i + 1 if i + 1 < size else NO_ID
        queue.buffers[i].last = i
    queue.last = size - 1
    queue.free = size
    if packed:
        queue.packed = cython.cast(cython.pointer(packed_descriptor_t), made.memory)
        queue.packed_end = queue.packed + size
        queue.next_available = queue.next_used = queue.packed
        queue.driver_event = cython.cast(cython.pointer(event_t), made.memory + descriptors)
        queue.device_event = cython.cast(cython.pointer(event_t), made.memory + descriptors + driver)
        # Both wrap counters begin as 1 (2.8.1).
        queue.available_flags = AVAILABLE
        queue.used_flags = USED_OR_NOT
    else:
        queue.descriptors = cython.cast(cython.pointer(split_descriptor_t), made.memory)
        queue.available = cython.cast(cython.pointer(available_t), made.memory + descriptors)
        queue.used = cython.cast(cython.pointer(used_ring_t), made.memory + descriptors + driver)
        queue.used_event = cython.address(queue.available.ring[0]) + size
        queue.available_event = cython.cast(cython.pointer(uint16_t), cython.address(queue.used.ring[0]) + size)
    made.spare_used()
    return made


def offer_pieces(queue, held, pieces, count, readable):
    id: uint16_t = queue.first
    at: uint16_t = id
    flags: uint16_t
    first_flags: uint16_t = 0
    i: uint16_t
    buffer: cython.pointer(buffer_t) = cython.address(queue.buffers[id])
    split: cython.pointer(split_descriptor_t)
    packed: cython.pointer(packed_descriptor_t)
    first: cython.pointer(packed_descriptor_t) = cython.NULL
    buffer.held = held
    buffer.more = count - 1
    if queue.kind == ORDERED:
        remember_order(queue, id)
    for i in range(count):
        flags = (0 if i < readable else WRITE) | (NEXT if i + 1 < count else 0)
        if queue.packed == cython.NULL:
            # Free ids of a device with IN_ORDER are in the order of the table (2.7.5.2).
            split = cython.address(queue.descriptors[at])
            split.address = pieces[i].address
            split.length = pieces[i].length
            split.flags = flags
            buffer.last = at
            at = queue.buffers[at].next
            split.next = at if flags & NEXT else 0
        else:
            packed = queue.next_available
            packed.address = pieces[i].address
            packed.length = pieces[i].length
            packed.id = id
            if i == 0:
                first = packed
                first_flags = flags | queue.available_flags
            else:
                packed.flags = flags | queue.available_flags
            queue.next_available = packed + 1
            if queue.next_available == queue.packed_end:
                queue.next_available = queue.packed
                queue.available_flags ^= USED_OR_NOT
    queue.first = queue.buffers[buffer.last].next
    queue.free -= count
    if queue.packed == cython.NULL:
        queue.available.ring[queue.added & queue.mask] = id
        queue.added = index_add(queue.added, 1)
    else:
        # The first one after all the others (2.8.21.1).
        release16(cython.address(first.flags), first_flags)
        queue.fresh = index_add(queue.fresh, count)


def release_chain(queue, id):
    buffer: cython.pointer(buffer_t) = cython.address(queue.buffers[id])
    queue.free += buffer.more + 1
    queue.last = buffer.last
    queue.buffers[queue.last].next = NO_ID
    buffer.more = 0
    buffer.last = id


def take_of_batch(queue, used):
    """2.7.9, 2.8.8: the device names the last buffer only; those before it were used completely."""
    id: uint16_t
    buffer: cython.pointer(buffer_t)
    if queue.batch == 0:
        queue.batch = index_add(index_sub(queue.buffers[queue.named.id].sequence, queue.taken), 1)
        if queue.packed == cython.NULL and queue.batch > index_sub(queue.seen, queue.taken):
            return -1
    id = queue.order[queue.taken & queue.mask]
    buffer = cython.address(queue.buffers[id])
    used.held = buffer.held
    buffer.held = cython.NULL
    queue.taken = index_add(queue.taken, 1)
    queue.batch -= 1
    if queue.packed != cython.NULL:
        step_over_used(queue, cython.cast(uint32_t, buffer.more) + 1)
    used.id = id
    used.whole = queue.batch != 0
    used.length = 0 if used.whole else queue.named.length
    return 1


@cython.cfunc
@cython.exceptval(check=False)
def _notification_wanted(queue: cython.pointer(virtqueue_t), fresh: uint16_t) -> cython.bint:
    flags: uint16_t
    event: uint16_t
    place: uint16_t
    if queue.packed == cython.NULL:
        if not queue.event_index:
            return acquire16(cython.address(queue.used.flags)) & 1 == 0
        # 2.7.10.1: whether the entry that available_event names is among the fresh ones.
        event = acquire16(queue.available_event)
        return index_sub(index_sub(queue.added, event), 1) < fresh
    # 2.8.10
    flags = acquire16(cython.address(queue.device_event.flags)) & 3
    if flags != EVENTS_DESCRIPTOR or not queue.event_index:
        return flags != EVENTS_DISABLE
    place = acquire16(cython.address(queue.device_event.place))
    event = place & 0x7FFF
    # Where that place lies before the one that is next: in this round of the ring, or the one before.
    if (place >> 15 != 0) != (queue.available_flags == AVAILABLE):
        event = index_sub(event, queue.size)
    place = cython.cast(uint16_t, queue.next_available - queue.packed)
    return index_sub(index_sub(place, event), 1) < fresh


class Virtqueue:
    def __dealloc__(self):
        if self.memory_bytes:
            munmap(self.memory, self.memory_bytes)
        free(self.ring.buffers)
        free(self.ring.order)

    def notifies_at(self, registers, offset, value, width):
        self.registers = registers
        self.offset = offset
        self.value = value
        self.wide = width == 32
        return 0

    def areas(self):
        queue: cython.pointer(virtqueue_t) = cython.address(self.ring)
        if queue.packed == cython.NULL:
            return bus_address(queue.descriptors), bus_address(queue.available), bus_address(queue.used)
        return bus_address(queue.packed), bus_address(queue.driver_event), bus_address(queue.device_event)

    def keep(self):
        self.memory_bytes = 0

    def kick(self):
        queue: cython.pointer(virtqueue_t) = cython.address(self.ring)
        fresh: uint16_t = index_sub(queue.added, queue.published) if queue.packed == cython.NULL else queue.fresh
        wanted: cython.bint
        if fresh == 0:
            return 0
        if queue.packed == cython.NULL:
            # 2.7.13.3
            release16(cython.address(queue.available.index), queue.added)
            queue.published = queue.added
            if not self.wanted and queue.event_index and index_sub(queue.taken, queue.event) > _PUT_OFF:
                self.spare_used()
        # What was made available is seen before we look whether the device wants to know (2.7.13.4.1, 2.8.21.3.1).
        full_fence()
        wanted = _notification_wanted(queue, fresh)
        queue.fresh = 0
        if not wanted:
            return 0
        if self.wide:
            self.registers.write32(self.offset, self.value)
        else:
            self.registers.write16(self.offset, cython.cast(uint16_t, self.value))
        return 1

    def want_used(self):
        queue: cython.pointer(virtqueue_t) = cython.address(self.ring)
        self.wanted = True
        if queue.packed != cython.NULL:
            if queue.event_index:
                release16(
                    cython.address(queue.driver_event.place),
                    cython.cast(uint16_t, queue.next_used - queue.packed)
                    | (0x8000 if queue.used_flags == USED_OR_NOT else 0),
                )
            release16(
                cython.address(queue.driver_event.flags), EVENTS_DESCRIPTOR if queue.event_index else EVENTS_ENABLE
            )
        elif queue.event_index:
            queue.event = queue.taken
            release16(queue.used_event, queue.event)
        else:
            release16(cython.address(queue.available.flags), 0)

    def spare_used(self):
        queue: cython.pointer(virtqueue_t) = cython.address(self.ring)
        self.wanted = False
        if queue.packed != cython.NULL:
            release16(cython.address(queue.driver_event.flags), EVENTS_DISABLE)
        elif queue.event_index:
            # The flags stay 0 (2.7.7.1): an entry that is as far away as can be.
            queue.event = index_sub(queue.taken, 1)
            release16(queue.used_event, queue.event)
        else:
            release16(cython.address(queue.available.flags), 1)

    def used_waits(self):
        queue: cython.pointer(virtqueue_t) = cython.address(self.ring)
        if queue.batch:
            return True
        if queue.packed == cython.NULL:
            return acquire16(cython.address(queue.used.index)) != queue.taken
        return acquire16(cython.address(queue.next_used.flags)) & USED_OR_NOT == queue.used_flags
