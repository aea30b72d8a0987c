/* What the kernel of a boot image offers to the Cython modules in ring 0. They call it as functions; CPython and glibc
 * reach it by system calls. As a Linux process the same file has these functions and calls none of them. */
#ifndef NETAPP_KERNEL_H
#define NETAPP_KERNEL_H
#include <stddef.h>
#include <stdint.h>

/* Weak, so that modules compiled for a Linux process only (shared objects) can be loaded without a kernel. */
#define NETAPP_KERNEL __attribute__((weak))

/* How a boot image ends, beside 0, 1 and 2 of the program. QEMU with `-device isa-debug-exit,iobase=0xf4,iosize=4` then
 * ends with 2 * status + 1; with 0 where the status is 0. */
enum {
    NETAPP_PANIC = 70,              /* an exception of the processor, or a rule of the kernel broken */
    NETAPP_UNKNOWN_CALL = 71,       /* a system call that the kernel does not have */
    NETAPP_NO_MEMORY = 72,          /* too little to start */
    NETAPP_NO_ENTROPY = 73,
    NETAPP_NO_CLOCK = 74,
    NETAPP_ABORTED = 75,            /* abort(), as by Py_FatalError */
};

extern int netapp_kernel_runs NETAPP_KERNEL;
static inline int netapp_native(void) {     /* 0: as a Linux process */
    return &netapp_kernel_runs != NULL && netapp_kernel_runs;
}

/* --- Time. Nanoseconds. */
#define NETAPP_NEVER UINT64_MAX
uint64_t netapp_clock(void) NETAPP_KERNEL;              /* since start; never goes back */
int64_t netapp_wall_clock(void) NETAPP_KERNEL;          /* since 1970-01-01 00:00 UTC */
const char *netapp_clock_name(void) NETAPP_KERNEL;

/* --- Entropy */
void netapp_random(void *bytes, size_t count) NETAPP_KERNEL;

/* --- Interrupts: taken only in netapp_idle() and netapp_interrupts_take(), and then only noted. */
int netapp_vector_take(void) NETAPP_KERNEL;             /* a vector for one source; -1: none is left */
void netapp_vector_give(int vector) NETAPP_KERNEL;      /* its line is masked */
uint64_t netapp_message_address(void) NETAPP_KERNEL;    /* MSI and MSI-X: write the vector there */
int netapp_line_connect(int line, int vector, int edge) NETAPP_KERNEL;      /* of an I/O APIC; -1: there is none, or it is in use */
void netapp_interrupts_take(void) NETAPP_KERNEL;        /* notes those that wait, without sleep */
int netapp_interrupt_next(void) NETAPP_KERNEL;          /* a noted vector, which is then no more; -1: none */
void netapp_interrupt_done(int vector) NETAPP_KERNEL;   /* its handler ran: a level-triggered line may interrupt again */
#define NETAPP_TIMER 0xef                               /* the vector of its interrupts, which only end a sleep */
uint64_t netapp_interrupt_count(int vector) NETAPP_KERNEL;      /* taken since start; of 0 to 255 */
void netapp_idle(uint64_t deadline) NETAPP_KERNEL;      /* sleeps until one is noted, or `deadline` of netapp_clock() */

/* --- Memory. Identity-mapped: a virtual address is the bus address. */
int netapp_registers_map(uint64_t address, uint64_t size) NETAPP_KERNEL;    /* for registers: not cached. -1: no memory */
uint64_t netapp_memory_size(void) NETAPP_KERNEL;        /* bytes that the kernel had to give at start */
uint64_t netapp_memory_free(void) NETAPP_KERNEL;
uint64_t netapp_memory_largest(void) NETAPP_KERNEL;     /* of that, in one piece */

/* --- Console: the first serial port */
#define NETAPP_CONSOLE_LINE 4
void netapp_console_write(const void *text, size_t size) NETAPP_KERNEL;
int netapp_console_read(void) NETAPP_KERNEL;            /* a byte; -1: none has come */

/* --- The machine */
struct netapp_window { uint64_t address, size; uint32_t line; int edge; };      /* of virtio-mmio, maybe without a device */
int netapp_window(int index, struct netapp_window *window) NETAPP_KERNEL;       /* 0: there is none of this index */
void netapp_power_off(int status) NETAPP_KERNEL __attribute__((noreturn));

/* --- The snapshot: snapshot.c */
int netapp_snapshot_wanted(void) NETAPP_KERNEL;         /* this machine is there to make one, and for nothing else */
void netapp_freeze(void) NETAPP_KERNEL;                 /* is called there, and returns on each machine that is booted */
int netapp_arguments(char ***words) NETAPP_KERNEL;      /* of the command line, as main() gets them; how many */

/* --- I/O ports */
static inline uint8_t netapp_port_read8(uint16_t port) {
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}
static inline uint16_t netapp_port_read16(uint16_t port) {
    uint16_t value;
    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}
static inline uint32_t netapp_port_read32(uint16_t port) {
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}
static inline void netapp_port_write8(uint16_t port, uint8_t value) {
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}
static inline void netapp_port_write16(uint16_t port, uint16_t value) {
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}
static inline void netapp_port_write32(uint16_t port, uint32_t value) {
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}
#endif
