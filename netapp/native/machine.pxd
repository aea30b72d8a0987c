"""The kernel of a boot image. What each function does is said in the header."""
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "netapp/native/kernel/kernel.h" nogil:
    const uint64_t NETAPP_NEVER
    const int NETAPP_CONSOLE_LINE
    const int NETAPP_TIMER
    int netapp_native() noexcept
    uint64_t netapp_clock() noexcept
    int64_t netapp_wall_clock() noexcept
    const char* netapp_clock_name() noexcept
    void netapp_random(void* bytes, size_t count) noexcept
    int netapp_vector_take() noexcept
    void netapp_vector_give(int vector) noexcept
    uint64_t netapp_message_address() noexcept
    int netapp_line_connect(int line, int vector, int edge) noexcept
    void netapp_interrupts_take() noexcept
    int netapp_interrupt_next() noexcept
    void netapp_interrupt_done(int vector) noexcept
    uint64_t netapp_interrupt_count(int vector) noexcept
    void netapp_idle(uint64_t deadline) noexcept
    int netapp_registers_map(uint64_t address, uint64_t size) noexcept
    uint64_t netapp_memory_size() noexcept
    uint64_t netapp_memory_free() noexcept
    uint64_t netapp_memory_largest() noexcept
    int netapp_console_read() noexcept
    struct netapp_window_t "netapp_window":
        uint64_t address
        uint64_t size
        uint32_t line
        int edge
    int netapp_window(int index, netapp_window_t* window) noexcept
    uint8_t netapp_port_read8(uint16_t port) noexcept
    uint16_t netapp_port_read16(uint16_t port) noexcept
    uint32_t netapp_port_read32(uint16_t port) noexcept
    void netapp_port_write8(uint16_t port, uint8_t value) noexcept
    void netapp_port_write16(uint16_t port, uint16_t value) noexcept
    void netapp_port_write32(uint16_t port, uint32_t value) noexcept
