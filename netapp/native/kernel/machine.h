/* What the files of the kernel share. It runs on one processor and is never interrupted: interrupts are taken only where
 * netapp_idle() lets them in, so there are no locks. */
#ifndef NETAPP_MACHINE_H
#define NETAPP_MACHINE_H
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel.h"

#define PAGE 4096UL
#define LARGE_PAGE (2UL << 20)
#define FOUR_GIB (4UL << 30)

/* The C library's use vector registers, which belong to the program that called. The compiler calls these on its own. */
void *memcpy(void *to, const void *from, size_t size) __asm__("kernel_copy");
void *memset(void *to, int byte, size_t size) __asm__("kernel_fill");
int memcmp(const void *one, const void *other, size_t size) __asm__("kernel_compare");
size_t strlen(const char *text) __asm__("kernel_length");

static inline uint64_t round_up(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }
static inline uint64_t round_down(uint64_t value, uint64_t unit) { return value / unit * unit; }
static inline uint64_t least(uint64_t one, uint64_t other) { return one < other ? one : other; }

/* Reads little-endian fields wherever they lie. */
static inline uint16_t read16(const void *from) { uint16_t value; memcpy(&value, from, sizeof value); return value; }
static inline uint32_t read32(const void *from) { uint32_t value; memcpy(&value, from, sizeof value); return value; }
static inline uint64_t read64(const void *from) { uint64_t value; memcpy(&value, from, sizeof value); return value; }

static inline uint32_t register_read32(uint64_t address) { return *(volatile uint32_t *)address; }
static inline void register_write32(uint64_t address, uint32_t value) { *(volatile uint32_t *)address = value; }

struct cpuid { uint32_t eax, ebx, ecx, edx; };
static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf) {
    struct cpuid found;
    __asm__ volatile("cpuid"
                     : "=a"(found.eax), "=b"(found.ebx), "=c"(found.ecx), "=d"(found.edx)
                     : "a"(leaf), "c"(subleaf));
    return found;
}
static inline uint64_t msr_read(uint32_t number) {
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number) : "memory");
    return (uint64_t)high << 32 | low;
}
static inline void msr_write(uint32_t number, uint64_t value) {
    __asm__ volatile("wrmsr" : : "c"(number), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}
static inline uint64_t tsc_read(void) {         /* not before the instructions in front of it */
    uint32_t low, high;
    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}
static inline void halt_for_ever(void) { for (;;) __asm__ volatile("cli; hlt"); }
/* About a microsecond each: writes to a port that nothing listens to. */
static inline void wait_microseconds(unsigned count) { while (count--) netapp_port_write8(0x80, 0); }

/* cpu.c: who runs us */
enum hypervisor { NO_HYPERVISOR, OTHER_HYPERVISOR, HYPERVISOR_KVM, HYPERVISOR_TCG };
enum hypervisor cpu_hypervisor(void);
uint32_t cpu_kvm_features(void);                /* of CPUID leaf 0x40000001; 0: not KVM */
void cpu_enable_vectors(void);                  /* whatever vector registers there are, for the C library's choice */

/* boot.c: what the loader said */
#define RAM_RANGES 64
struct ram_range { uint64_t start, end; };
struct boot {
    struct ram_range ram[RAM_RANGES];           /* usable memory above 1 MiB, whole pages, sorted, none overlaps another */
    int ram_count;
    uint64_t rsdp;                              /* address of ACPI's root pointer; 0: not told */
    char command_line[4096];
};
extern struct boot boot;
int boot_has_memory(uint64_t start, uint64_t end);
void boot_read(uint32_t magic, uint64_t info);

/* pages.c: page frames. Counted from address 0, so they are identity-mapped. */
void pages_start(uint64_t kept);                /* with the memory below 4 GiB. What it needs itself lies above `kept` */
void pages_add_high(void);                      /* with the rest, when it is mapped */
void *pages_take(uint64_t count);               /* from the top; NULL: not so many in one piece. Not zeroed */
void *pages_take_low(uint64_t start, uint64_t end, uint64_t count);     /* between them, from `start` */
int pages_take_at(uint64_t address, uint64_t count);        /* 0: one of them is in use */
void pages_give(uint64_t address, uint64_t count);
int pages_are_taken(uint64_t address, uint64_t count);      /* all of them, and all are memory */
uint64_t pages_limit(void);                     /* bytes, counted from address 0 */
void pages_zero(void *memory, uint64_t bytes);

/* paging.c */
enum { MAP_ABSENT = 0, MAP_READ = 1, MAP_WRITE = 2, MAP_CODE = 4, MAP_DEVICE = 8 };     /* MAP_WRITE and others imply READ */
void paging_start(void);
int paging_map(uint64_t address, uint64_t bytes, int access);       /* -1: no memory for tables */
void paging_zero(uint64_t address, uint64_t bytes);         /* whole pages, whatever may be done to them */
int paging_put(uint64_t address);               /* a zeroed page of memory there, elsewhere than at its own. -1: none */

/* stack.c: the program's stack, at addresses where there is no memory; it gets pages as it grows, to Linux's limit */
#define STACK_HIGH 0x7ffffffff000UL
#define STACK_BYTES (8UL << 20)
#define TICKS_A_SECOND 100                      /* a second, as the auxiliary vector says: of times(2) */
int stack_grow(uint64_t address);               /* where a page is missing; 0: not there, or there is no memory */
uint64_t stack_fill(void);                      /* arguments and auxiliary vector; the address for rsp */

/* snapshot.c, unpack.c */
#define OF_PROGRAM __attribute__((section("of_program")))      /* the program's state, though the kernel has it: it is kept */
#define SNAPSHOT_PAGES 8192UL                   /* after the image, at most, of a snapshot */
uint64_t snapshot_place(void);                  /* where its memory ends; 0: there is none */
void snapshot_keep(void);                       /* its pages are in use */
void snapshot_go_on(void) __attribute__((noreturn));
const char *snapshot_seed(void);                /* where it is wanted: random numbers are made of these 32 bytes */
uint64_t unpack(void *to, uint64_t room, const void *packed, uint64_t size);    /* bytes made of an LZ4 block; 0: it is broken */

/* traps.c, entry.S */
struct frame {                                  /* as entry.S pushes it */
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error, rip, cs, rflags, rsp, ss;
};
#define PAGE_FAULT 14
void traps_start(void);

/* interrupts.c, apic.c */
enum { VECTOR_FIRST = 32, VECTOR_TIMER = NETAPP_TIMER, VECTOR_LAST = 0xee, VECTOR_SPURIOUS = 0xff };
void interrupts_note(int vector);
void sleep_until(uint64_t deadline);            /* of netapp_clock(), whatever interrupts are noted meanwhile */
void apic_start(void);
void apic_calibrate(void);                      /* the timer, by the clock */
void apic_end_of_interrupt(void);
void apic_timer_arm(uint64_t nanoseconds);      /* fires once; at most some seconds */
uint64_t apic_timer_passed(void);               /* ns since the last call, or since it was armed; it stops at its end */
int apic_level(int vector);                     /* whether a line has it that is told by its level */
void apic_line_mask(int vector, int masked);
void apic_line_release(int vector);             /* if there is one */

/* acpi.c */
struct acpi {
    uint64_t hpet;                              /* addresses and ports; 0: there is none */
    uint16_t timer_port;
    int timer_wide;                             /* 32 bits, not 24 */
    uint16_t power_port;
    uint64_t sleep_register;                    /* of a hardware-reduced platform */
    int sleep_register_is_port;
    uint8_t off_type;                           /* SLP_TYP of the state S5 */
    struct { uint64_t address; uint32_t first_line; } io_apic[8];
    int io_apic_count;
};
extern struct acpi acpi;
void acpi_start(void);

/* windows.c */
#define WINDOWS 64
void windows_add(uint64_t address, uint64_t size, uint32_t line, int edge);
void windows_read_command_line(void);

/* clock.c, counters.c, pvclock.c */
struct counter {                                /* counts up all the time, and begins anew after `mask` */
    const char *name;
    uint64_t (*read)(void);
    uint64_t mask;
    uint64_t scale;                             /* ns a tick, times 2^32 */
};
const struct counter *counters_find(void);      /* the best; NULL: none */
int pvclock_start(void);                        /* 0: not under KVM */
uint64_t pvclock_read(void);
int64_t pvclock_wall(void);                     /* ns since 1970 when pvclock_read() was 0; 0: not told */
int64_t rtc_read(void);                         /* ns since 1970; 0: there is none */
void clock_start(void);
void clock_pass(uint64_t time);                 /* where a snapshot is wanted, and time stands still: it is so late now */
void clock_woke(void);                          /* after a sleep, in which the TSC may have been anything */
void clock_sleep_took(uint64_t nanoseconds);
uint64_t clock_slept(void);                     /* how much of netapp_clock() the processor was halted */

/* entropy.c, virtio_rng.c */
void entropy_start(void);
int virtio_rng_read(void *bytes, uint32_t count);           /* 0: there is no such device, or it does not answer */

/* console.c */
void console_start(void);
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));      /* %s %d %u %x %lu %lx %016lx %c */

/* panic.c */
void panic(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void panic_trap(const struct frame *frame) __attribute__((noreturn));
void panic_traceback(void);                     /* Python's, if there is one */
void refuse(int status, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));     /* to start: one line */

/* calls_memory.c */
int memory_is_protected(void);                  /* the program asked for that, for some of it */

/* system_calls.c */
void system_calls_start(void);
#endif
