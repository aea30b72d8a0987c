"""What a client does next: commands in their proportions, on the objects of its window.

As memaslap does it: a set when the gets that were done are as many as the sets want; gets of any object that was stored.
The window is filled by its sets; then each replaces the object that has been there longest, by one with a new key.
"""
from libc.stdint cimport uint64_t
from bench.memaslap.client cimport client_t, item_t, task_t

cdef uint64_t chance(uint64_t* state) noexcept nogil
cdef void name_item(item_t* item, uint64_t number) noexcept nogil                 # a key that no other number has
# What to send is in `kind`, with `item` or `wanted`; IDLE: nothing remains.
cdef void choose(client_t* c, task_t* t, uint64_t* random, uint64_t* names) noexcept nogil
cdef void choose_next_of_window(client_t* c, task_t* t, uint64_t* random) noexcept nogil    # sets them one after another; IDLE: full
cdef void account(client_t* c, task_t* t, bint answered, bint stored) noexcept nogil      # what was chosen is over
