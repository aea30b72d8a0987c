/* The local APIC (its timer, the ends of interrupts) and the I/O APICs, whose lines ISA and virtio-mmio devices have.
 * Intel SDM 3A, chapter 11; 82093AA. */
#include "machine.h"

#define APIC_BASE 0x1b                  /* model specific register */
#define ENABLED (1U << 11)
#define X2APIC (1U << 10)
#define LOCAL 0xfee00000ULL
enum { ID = 0x20, TASK_PRIORITY = 0x80, END = 0xb0, SPURIOUS = 0xf0, TIMER = 0x320, LINT0 = 0x350, LINT1 = 0x360,
       ERROR = 0x370, INITIAL = 0x380, CURRENT = 0x390, DIVIDER = 0x3e0 };
#define MASKED (1U << 16)
#define BY_ONE 0xb
#define NANOSECOND_TICKS (1ULL << 32)   /* ticks a ns, times 2^32: QEMU's and KVM's timer counts at 1 GHz */

#define SELECT 0x00                     /* I/O APIC: which register, and its value */
#define WINDOW 0x10
#define VERSION 1
#define REDIRECTION 0x10
#define LEVEL (1U << 15)

static uint64_t ticks_per_ns = NANOSECOND_TICKS;        /* times 2^32 */
static uint32_t looked;                 /* what the timer showed at apic_timer_passed() or when it was armed */
static struct { int16_t line; int16_t level; } wired[256];      /* by vector: its line plus one, 0 where it has none */

static uint32_t local_read(int at) { return register_read32(LOCAL + (uint64_t)at); }
static void local_write(int at, uint32_t value) { register_write32(LOCAL + (uint64_t)at, value); }

void apic_end_of_interrupt(void) { local_write(END, 0); }

/* --- The timer */
void apic_timer_arm(uint64_t nanoseconds) {
    uint64_t longest = UINT32_MAX / ((ticks_per_ns >> 32) + 1);
    looked = (uint32_t)((unsigned __int128)least(nanoseconds, longest) * ticks_per_ns >> 32);
    if (looked == 0)
        looked = 1;
    local_write(INITIAL, looked);
}

uint64_t apic_timer_passed(void) {
    uint32_t shown = local_read(CURRENT), passed = looked - shown;
    looked = shown;
    return ((uint64_t)passed << 32) / ticks_per_ns;
}

void apic_calibrate(void) {
    enum hypervisor hypervisor = cpu_hypervisor();
    if (hypervisor == HYPERVISOR_TCG || hypervisor == HYPERVISOR_KVM)
        return;
    local_write(INITIAL, UINT32_MAX);
    uint64_t began = netapp_clock(), now;
    do
        now = netapp_clock();
    while (now - began < 2000000);
    uint32_t ticks = UINT32_MAX - local_read(CURRENT);
    ticks_per_ns = ((uint64_t)ticks << 32) / (now - began);
}

/* --- I/O APICs. A line is a global system interrupt of ACPI. */
static uint64_t io_apic(int line, uint32_t *pin) {
    for (int i = 0; i < acpi.io_apic_count; i++) {
        uint64_t address = acpi.io_apic[i].address;
        uint32_t first = acpi.io_apic[i].first_line;
        register_write32(address + SELECT, VERSION);
        if (line >= (int)first && line - first <= (register_read32(address + WINDOW) >> 16 & 0xff)) {
            *pin = (uint32_t)line - first;
            return address;
        }
    }
    return 0;
}

static uint32_t io_read(uint64_t address, uint32_t index) {
    register_write32(address + SELECT, index);
    return register_read32(address + WINDOW);
}

static void io_write(uint64_t address, uint32_t index, uint32_t value) {
    register_write32(address + SELECT, index);
    register_write32(address + WINDOW, value);
}

int apic_level(int vector) { return wired[vector].level; }

void apic_line_mask(int vector, int masked) {
    uint32_t pin;
    uint64_t address = io_apic(wired[vector].line - 1, &pin);
    uint32_t value = io_read(address, REDIRECTION + 2 * pin);
    io_write(address, REDIRECTION + 2 * pin, masked ? value | MASKED : value & ~MASKED);
}

int netapp_line_connect(int line, int vector, int edge) {
    uint32_t pin;
    uint64_t address = io_apic(line, &pin);
    if (address == 0)
        return -1;
    for (int other = 0; other < 256; other++)
        if (wired[other].line == line + 1)
            return -1;
    wired[vector].line = (int16_t)(line + 1);
    wired[vector].level = !edge;
    io_write(address, REDIRECTION + 2 * pin + 1, local_read(ID) & 0xff000000);
    io_write(address, REDIRECTION + 2 * pin, (uint32_t)vector | (edge ? 0 : LEVEL));
    return 0;
}

void apic_line_release(int vector) {
    if (wired[vector].line != 0)
        apic_line_mask(vector, 1);
    wired[vector].line = wired[vector].level = 0;
}

uint64_t netapp_message_address(void) { return LOCAL | (uint64_t)(local_read(ID) >> 24) << 12; }

/* --- Start */
static void silence_8259(void) {        /* its lines reach the I/O APIC, too */
    netapp_port_write8(0x21, 0xff);
    netapp_port_write8(0xa1, 0xff);
}

void apic_start(void) {
    uint64_t base = msr_read(APIC_BASE);
    if (base & X2APIC)                  /* only by way of off: SDM 3A, 11.12.5 */
        msr_write(APIC_BASE, base & ~(uint64_t)(ENABLED | X2APIC));
    msr_write(APIC_BASE, LOCAL | (base & 0x100) | ENABLED);
    silence_8259();
    local_write(TASK_PRIORITY, 0);
    local_write(LINT0, MASKED);
    local_write(LINT1, MASKED);
    local_write(ERROR, MASKED);
    local_write(DIVIDER, BY_ONE);
    local_write(TIMER, VECTOR_TIMER);   /* one-shot */
    local_write(SPURIOUS, 0x100 | VECTOR_SPURIOUS);
    apic_timer_arm(NETAPP_NEVER);       /* counts from now on: see apic_timer_passed() */
}
