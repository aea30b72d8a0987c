/* The clock. Under KVM it is the hypervisor's. Else a counter, which costs microseconds to read where it is emulated; the
 * time stamp counter then only fills in what passed since the counter was read last, which is never much: however wrong
 * it goes, the clock is wrong by that at most, and only until the counter is read again. */
#include "machine.h"

#define SPAN 500000                     /* ns for which the TSC may fill in */
#define SAMPLE 3000000                  /* ns, at least, over which its rate is measured */

static const struct counter *counter;   /* NULL: KVM's clock */
static uint64_t ticks;                  /* of the counter, without end */
static uint64_t last_count;
static uint64_t origin;                 /* of KVM's clock */
static uint64_t latest;                 /* what was told: the clock never goes back */
static uint64_t slept;
static int64_t wall_origin;

static struct {
    uint64_t tsc, time;                 /* when the counter was read last */
    uint64_t scale;                     /* ns a tick, times 2^32; 0: not known yet */
    uint64_t sample_tsc, sample_time, sample_scale;
} fill;

static uint64_t scaled(uint64_t count, uint64_t scale) {
    return (uint64_t)((unsigned __int128)count * scale >> 32);
}

/* The rate is believed when two samples agree within 1/64: then no jump was in either. */
static void sample(uint64_t tsc, uint64_t time) {
    if (time - fill.sample_time < SAMPLE)
        return;
    uint64_t passed = tsc - fill.sample_tsc;
    uint64_t scale = passed == 0 || time - fill.sample_time > UINT32_MAX ? 0 : (time - fill.sample_time << 32) / passed;
    uint64_t difference = scale > fill.sample_scale ? scale - fill.sample_scale : fill.sample_scale - scale;
    if (scale != 0 && difference <= scale / 64)
        fill.scale = scale;
    fill.sample_tsc = tsc;
    fill.sample_time = time;
    fill.sample_scale = scale;
}

static int short_counter(void) { return counter != NULL && counter->mask < 1 << 20; }

/* A counter that begins anew after less than the program may take without a look at it needs to know how often it did:
 * the APIC's timer, which counts from its last arming, says so roughly. */
static void read_counter(void) {
    uint64_t count = counter->read();
    uint64_t passed = count - last_count & counter->mask;
    if (short_counter()) {
        uint64_t period = scaled(counter->mask + 1, counter->scale), fine = scaled(passed, counter->scale);
        uint64_t rough = apic_timer_passed();
        if (rough > fine)
            passed += (rough - fine + period / 2) / period * (counter->mask + 1);
    }
    ticks += passed;
    last_count = count;
}

static uint64_t by_counter(void) {
    uint64_t tsc = tsc_read();
    if (fill.scale != 0 && fill.tsc != 0) {
        uint64_t since = scaled(tsc - fill.tsc, fill.scale);
        if (since < SPAN)
            return fill.time + since;
    }
    read_counter();
    fill.tsc = tsc_read();
    fill.time = scaled(ticks, counter->scale);
    if (fill.scale == 0)
        sample(fill.tsc, fill.time);
    return fill.time;
}

uint64_t netapp_clock(void) {
    if (netapp_snapshot_wanted())       /* two are to be the same */
        return ++latest;
    uint64_t now = counter == NULL ? pvclock_read() - origin : by_counter();
    if (now > latest)
        latest = now;
    return latest;
}

void clock_pass(uint64_t time) { latest = time; }

void clock_woke(void) {
    fill.tsc = 0;
    if (short_counter()) {
        read_counter();
        apic_timer_arm(NETAPP_NEVER);   /* or it stands still: see read_counter() */
    }
}

void clock_sleep_took(uint64_t nanoseconds) { slept += nanoseconds; }
uint64_t clock_slept(void) { return slept; }
int64_t netapp_wall_clock(void) { return wall_origin + (int64_t)netapp_clock(); }
const char *netapp_clock_name(void) { return counter == NULL ? "KVM" : counter->name; }

void clock_start(void) {
    if (pvclock_start()) {
        origin = pvclock_read();
    } else {
        counter = counters_find();
        if (counter == NULL)
            refuse(NETAPP_NO_CLOCK, "no clock that can be trusted: give the machine an HPET, an ACPI timer or a PIT");
        last_count = counter->read();
    }
    int64_t wall = pvclock_wall();
    wall_origin = netapp_snapshot_wanted() ? 0 : wall != 0 ? wall + (int64_t)origin : rtc_read();
}
