"""What a thread of the generator has for each of its concurrencies, memaslap's word for a client with one request under
way at a time: C structures, since the whole loop runs without the interpreter.

A worker (worker.pxd) owns all that these structures point to, except `characters`, which all threads read.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from posix.uio cimport iovec
from bench.memaslap.sockets cimport address_t

cdef enum:
    PREFIX_BYTES = 8
    LINE_BYTES_MAX = 512                 # of a reply, values apart
    COPY_BYTES = 2048                    # a value up to here is copied behind its command; a longer one is gathered
    DATAGRAM_HEADER_BYTES = 8
    DATAGRAMS_MAX = 1024                 # of a reply

cdef enum:
    # client_t.kind
    IDLE = 0
    GET
    SET
    LOST                                 # no connection of its is left

cdef enum:
    # What read() says of a reply
    MORE = 0                             # is not yet complete
    DONE
    BROKEN                               # is none: nothing that follows can be understood

cdef enum:
    # item_t.value_at
    NOT_STORED = 0xffffffff

cdef struct item_t:
    # An object of the window. Its key is the prefix, which no other object has, and a run of characters.
    char prefix[PREFIX_BYTES]
    uint32_t key_at                      # the run's offset in characters
    uint32_t value_at                    # where its value begins there; NOT_STORED
    uint32_t value_bytes
    uint32_t set_at                      # s, when it was stored; of an object that expires
    uint8_t key_bytes                    # prefix and run
    bint expires

cdef struct wanted_t:
    # A key of the get that is under way.
    item_t* item
    bint verify                          # its value or expiry
    bint found

cdef struct settings_t:
    # The same for all threads.
    const char* characters
    uint32_t offsets                     # of keys and values are below it
    uint32_t window                      # objects of each concurrency
    double get_share
    double set_share
    double verify                        # part of the gets
    double overwrite                     # part of the sets
    uint32_t expiry                      # s; 0: no object expires
    uint32_t expiry_error                # s by which a server may be early or late
    uint32_t division                    # keys of a get
    uint32_t writers                     # -p: the first so many servers are written to; 0: off
    uint32_t servers
    bint binary
    bint facebook
    bint reconnect
    bint verbose

cdef struct counters_t:
    uint64_t cmd_get                     # keys; of requests that were answered
    uint64_t cmd_set
    uint64_t get_misses
    uint64_t verify_misses
    uint64_t verify_failed
    uint64_t expired_get
    uint64_t unexpired_unget
    uint64_t written_bytes
    uint64_t read_bytes
    uint64_t object_bytes
    uint64_t packet_disorder
    uint64_t packet_drop
    uint64_t udp_timeout
    uint64_t errors                      # answers that say so, and requests that were not answered
    uint64_t late                        # had to wait for a concurrency
    uint64_t unsent                      # still waited at the end
    uint64_t reconnected

cdef struct socket_t:
    int fd                               # -1: none
    uint32_t server
    bint udp
    bint connecting
    bint writing                         # epoll tells when there is room

cdef struct datagrams_t:
    # A reply in datagrams: bytes in the order of arrival.
    uint8_t* bytes
    uint8_t* sorted                      # room for as many
    uint64_t length
    uint64_t size
    uint16_t request
    uint16_t expected                    # 0: none came
    uint16_t arrived
    uint16_t next                        # in order so far
    bint disordered
    uint32_t starts[DATAGRAMS_MAX]       # + 1, by number in the reply; 0: has not come
    uint32_t lengths[DATAGRAMS_MAX]

cdef struct client_t:
    uint32_t number                      # in its thread
    uint8_t kind
    item_t* window
    uint64_t cursor                      # the next object to set, modulo the window
    uint64_t remaining                   # requests (keys of gets) that -x leaves
    uint64_t gets
    uint64_t sets
    uint64_t verified
    uint64_t overwritten
    # its connections
    socket_t* sockets
    uint32_t socket_count                # the last one is for gets with -a
    uint32_t current                     # the request's
    uint32_t turn                        # whose it is, of those that are used in turn
    # the request
    uint64_t began                       # ns, from which its time counts
    uint64_t sent_at                     # ns
    item_t* item                         # of a set
    uint32_t value_at                    # the value that it sends
    wanted_t* wanted                     # of a get
    uint32_t wanted_count
    char* request                        # its bytes, without the value
    iovec parts[3]                       # what is not yet sent
    uint32_t part
    uint32_t part_count
    # the reply
    uint32_t answered                    # of wanted; those before are known
    uint64_t skip                        # bytes of a value, and what belongs to it, that are still to come
    uint32_t before                      # of these, bytes before the value (binary)
    const char* compare                  # what they must be, as far as `compare_bytes`
    uint64_t compare_bytes
    bint failed                          # a value of it was counted
    uint32_t tail_bytes
    char tail[LINE_BYTES_MAX]            # a line's beginning, or a header's
    datagrams_t* datagrams               # where there is UDP

cdef struct task_t:
    # What the functions of a protocol need beside the client.
    const settings_t* settings
    counters_t* counters
    uint32_t second                      # of the steady clock
    char trouble[160]                    # the first answer that was an error, NUL at its end
