"""Frames in slots as devices place them: headroom in front, the first 1,920 bytes in one view."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from netapp.iobuf.chain cimport Chain

cdef Chain allocate_frame(uint64_t length)               # in the running core's pool; None when it is exhausted
# Copies source's bytes from `offset` on to the frame's after the first `skip`, which lie in its first view.
cdef void fill_frame(Chain frame, uint32_t skip, Chain source, uint64_t offset) noexcept
cdef bytes frame_bytes(Chain frame)                      # not counted as copied: they leave the program
cdef void store_checksum(uint8_t* at, uint64_t total) noexcept
cdef void complete_checksum(Chain frame) noexcept        # of a CHECKSUM_PARTIAL frame from allocate_frame
