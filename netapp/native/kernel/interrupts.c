/* Interrupts are let in at two points only, and there only noted: nothing else is ever interrupted, no register of the
 * program has to be saved, and no data needs a lock. */
#include "machine.h"

static uint64_t noted[4];               /* a bit a vector; written while interrupts are let in */
static uint64_t taken[4];               /* vectors in use */
static uint64_t counts[256];            /* by vector */

void interrupts_note(int vector) {
    counts[vector]++;
    if (vector == VECTOR_SPURIOUS)
        return;                         /* not to be acknowledged (Intel SDM 3A, 11.9) */
    if (vector != VECTOR_TIMER) {       /* which only ends a sleep */
        noted[vector / 64] |= 1ULL << vector % 64;
        /* A level stays until the device's driver has run: it would interrupt again and again. */
        if (apic_level(vector))
            apic_line_mask(vector, 1);
    }
    apic_end_of_interrupt();
}

static int any_noted(void) { return (noted[0] | noted[1] | noted[2] | noted[3]) != 0; }

void netapp_interrupts_take(void) {
    /* STI takes effect after the instruction that follows it. */
    __asm__ volatile("sti; nop; cli" : : : "memory");
}

int netapp_interrupt_next(void) {
    for (int i = 0; i < 4; i++)
        if (noted[i] != 0) {
            int bit = __builtin_ctzll(noted[i]);
            noted[i] &= noted[i] - 1;
            return i * 64 + bit;
        }
    return -1;
}

void netapp_interrupt_done(int vector) {
    if (apic_level(vector))
        apic_line_mask(vector, 0);
}

uint64_t netapp_interrupt_count(int vector) { return counts[vector]; }

int netapp_vector_take(void) {
    for (int vector = VECTOR_FIRST; vector <= VECTOR_LAST; vector++)
        if (!(taken[vector / 64] >> vector % 64 & 1)) {
            taken[vector / 64] |= 1ULL << vector % 64;
            return vector;
        }
    return -1;
}

void netapp_vector_give(int vector) {
    apic_line_release(vector);
    taken[vector / 64] &= ~(1ULL << vector % 64);
    noted[vector / 64] &= ~(1ULL << vector % 64);
}

/* Sleeps until `deadline`, or until an interrupt is noted where `heeding` them. */
static void sleep(uint64_t deadline, int heeding) {
    uint64_t began = netapp_clock(), now = began;
    if (netapp_snapshot_wanted()) {
        clock_pass(deadline);
        return;
    }
    netapp_interrupts_take();           /* before the timer is armed, which costs more */
    while (!(heeding && any_noted()) && now < deadline) {
        apic_timer_arm(deadline - now);
        /* Interrupts are off from here to the HLT, which STI lets in: what came since the last look wakes it. */
        __asm__ volatile("sti; hlt; cli" : : : "memory");
        clock_woke();
        now = netapp_clock();
    }
    clock_sleep_took(now - began);
}

void netapp_idle(uint64_t deadline) { sleep(deadline, 1); }
void sleep_until(uint64_t deadline) { sleep(deadline, 0); }
