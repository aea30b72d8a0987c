/* KVM's clock: Linux, Documentation/virt/kvm/x86/msr.rst and cpuid.rst. The hypervisor keeps in a page of ours what makes
 * nanoseconds of the time stamp counter. */
#include "machine.h"

#define CLOCKSOURCE2 (1U << 3)          /* feature bit: the registers below */
#define WALL_CLOCK 0x4b564d00
#define SYSTEM_TIME 0x4b564d01
#define ON 1

static volatile struct {
    uint32_t version, unused;
    uint64_t tsc, time;
    uint32_t scale;
    int8_t shift;
    uint8_t flags, rest[2];
} clock __attribute__((aligned(64)));
static volatile struct { uint32_t version, seconds, nanoseconds; } wall __attribute__((aligned(64)));

int pvclock_start(void) {
    if (!(cpu_kvm_features() & CLOCKSOURCE2))
        return 0;
    msr_write(SYSTEM_TIME, (uint64_t)&clock | ON);
    return clock.version != 0;
}

uint64_t pvclock_read(void) {
    uint32_t version;
    uint64_t time;
    do {                                /* odd while it is written */
        version = clock.version;
        __asm__ volatile("" : : : "memory");
        uint64_t ticks = tsc_read() - clock.tsc;
        ticks = clock.shift < 0 ? ticks >> -clock.shift : ticks << clock.shift;
        time = clock.time + (uint64_t)((unsigned __int128)ticks * clock.scale >> 32);
        __asm__ volatile("" : : : "memory");
    } while (version & 1 || version != clock.version);
    return time;
}

int64_t pvclock_wall(void) {
    if (!(cpu_kvm_features() & CLOCKSOURCE2))
        return 0;
    msr_write(WALL_CLOCK, (uint64_t)&wall);
    return wall.version == 0 ? 0 : (int64_t)wall.seconds * 1000000000 + wall.nanoseconds;
}
