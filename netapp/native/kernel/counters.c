/* Counters that can be trusted as they are, the best first. The time stamp counter only where the processor says that it
 * is invariant, and never under software emulation, where it is the host's: those of two CPUs may be seconds apart. */
#include "machine.h"

#define SECOND 1000000000ULL

static uint64_t scale(uint64_t hertz) { return (SECOND << 32) / hertz; }

/* HPET: IA-PC HPET 1.0a, 2.3. 32 bits of it, which are read at once, begin anew after 43 s at QEMU's rate. */
static uint64_t hpet_read(void) { return register_read32(acpi.hpet + 0xf0); }

static int hpet_find(struct counter *counter) {
    if (acpi.hpet == 0)
        return 0;
    uint64_t femtoseconds = register_read32(acpi.hpet + 4);
    if (femtoseconds == 0 || femtoseconds > 100000000)
        return 0;
    register_write32(acpi.hpet + 0x10, register_read32(acpi.hpet + 0x10) | 1);      /* run */
    *counter = (struct counter){"HPET", hpet_read, UINT32_MAX, (femtoseconds << 32) / 1000000};
    return 1;
}

/* ACPI 6.5, 4.8.2.1 */
static uint64_t timer_read(void) { return netapp_port_read32(acpi.timer_port); }

static int timer_find(struct counter *counter) {
    if (acpi.timer_port == 0)
        return 0;
    *counter = (struct counter){"ACPI timer", timer_read, acpi.timer_wide ? UINT32_MAX : 0xffffff, scale(3579545)};
    return 1;
}

/* 8254, counter 0 as a rate generator: counts 65536 down in 55 ms. A latched value is read in two halves. */
static uint64_t pit_read(void) {
    netapp_port_write8(0x43, 0x00);
    uint64_t low = netapp_port_read8(0x40);
    return -(low | (uint64_t)netapp_port_read8(0x40) << 8) & 0xffff;
}

static int pit_find(struct counter *counter) {
    netapp_port_write8(0x43, 0x34);
    netapp_port_write8(0x40, 0);
    netapp_port_write8(0x40, 0);
    uint64_t before = pit_read();
    wait_microseconds(100);
    if (pit_read() == before)
        return 0;
    *counter = (struct counter){"PIT", pit_read, 0xffff, scale(1193182)};
    return 1;
}

/* CPUID 0x15 and 0x40000010 tell the rate; else it is measured by the counter that was found. */
static uint64_t tsc_hertz(const struct counter *other) {
    struct cpuid leaf = cpuid(0, 0).eax >= 0x15 ? cpuid(0x15, 0) : (struct cpuid){0, 0, 0, 0};
    if (leaf.eax != 0 && leaf.ebx != 0 && leaf.ecx != 0)
        return (uint64_t)leaf.ecx * leaf.ebx / leaf.eax;
    if (cpu_hypervisor() != NO_HYPERVISOR && cpuid(0x40000000, 0).eax >= 0x40000010)
        return cpuid(0x40000010, 0).eax * 1000ULL;
    if (other->read == NULL)
        return 0;
    uint64_t ticks = (10000000ULL << 32) / other->scale;        /* of 10 ms */
    uint64_t began = other->read(), tsc = tsc_read();
    while ((other->read() - began & other->mask) < ticks)
        ;
    return (tsc_read() - tsc) * 100;
}

static int tsc_find(struct counter *counter) {
    if (cpu_hypervisor() == HYPERVISOR_TCG || cpuid(0x80000000, 0).eax < 0x80000007 ||
        !(cpuid(0x80000007, 0).edx >> 8 & 1))
        return 0;
    uint64_t hertz = tsc_hertz(counter);
    if (hertz == 0)
        return 0;
    *counter = (struct counter){"TSC", tsc_read, UINT64_MAX, scale(hertz)};
    return 1;
}

const struct counter *counters_find(void) {
    static struct counter counter;
    int found = hpet_find(&counter) || timer_find(&counter) || pit_find(&counter);
    return tsc_find(&counter) || found ? &counter : NULL;
}
