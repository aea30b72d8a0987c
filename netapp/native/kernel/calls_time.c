/* Time for the program. */
#include <linux/time.h>

#include "system_calls.h"

#define SECOND 1000000000ULL

static int64_t put_time(void *to, uint64_t nanoseconds) {
    ((uint64_t *)to)[0] = nanoseconds / SECOND;
    ((uint64_t *)to)[1] = nanoseconds % SECOND;
    return 0;
}

static uint64_t get_time(const void *from) {
    const int64_t *time = from;
    return time[0] < 0 ? 0 : (uint64_t)time[0] > UINT64_MAX / SECOND - 1 ? NETAPP_NEVER
                                                                        : (uint64_t)time[0] * SECOND + (uint64_t)time[1];
}

int64_t call_clock_gettime(const uint64_t *a) {
    switch ((int)a[0]) {
    case CLOCK_REALTIME: case CLOCK_REALTIME_COARSE: case CLOCK_TAI:
        return put_time((void *)a[1], (uint64_t)netapp_wall_clock());
    case CLOCK_MONOTONIC: case CLOCK_MONOTONIC_RAW: case CLOCK_MONOTONIC_COARSE: case CLOCK_BOOTTIME:
        return put_time((void *)a[1], netapp_clock());
    case CLOCK_PROCESS_CPUTIME_ID: case CLOCK_THREAD_CPUTIME_ID:
        return put_time((void *)a[1], netapp_clock() - clock_slept());
    default:
        if ((int)a[0] < 0)              /* a process's or a thread's by its number, and there is but one */
            return put_time((void *)a[1], netapp_clock() - clock_slept());
        return -EINVAL;
    }
}

int64_t call_clock_getres(const uint64_t *a) {
    if ((int)a[0] > CLOCK_BOOTTIME && (int)a[0] != CLOCK_TAI)
        return -EINVAL;
    return a[1] == 0 ? 0 : put_time((void *)a[1], 1);
}

int64_t call_gettimeofday(const uint64_t *a) {
    if (a[0] != 0) {
        put_time((void *)a[0], (uint64_t)netapp_wall_clock());
        ((uint64_t *)a[0])[1] /= 1000;
    }
    if (a[1] != 0)
        *(uint64_t *)a[1] = 0;          /* of the time zone */
    return 0;
}

int64_t call_time(const uint64_t *a) {
    int64_t seconds = netapp_wall_clock() / (int64_t)SECOND;
    if (a[0] != 0)
        *(int64_t *)a[0] = seconds;
    return seconds;
}

int time_is_good(const void *timespec) {
    const int64_t *time = timespec;
    return time[0] >= 0 && (uint64_t)time[1] < SECOND;
}

uint64_t deadline_of(int clock, int absolute, const void *timespec) {
    uint64_t time = get_time(timespec), now = netapp_clock();
    if (absolute && (clock == CLOCK_REALTIME || clock == CLOCK_TAI)) {
        uint64_t wall = (uint64_t)netapp_wall_clock();
        time = time > wall ? time - wall : 0;
        absolute = 0;
    }
    return absolute ? time : time > NETAPP_NEVER - now ? NETAPP_NEVER : now + time;
}

int64_t call_nanosleep(const uint64_t *a) {
    if (!time_is_good((const void *)a[0]))
        return -EINVAL;
    sleep_until(deadline_of(CLOCK_MONOTONIC, 0, (const void *)a[0]));
    return 0;
}

int64_t call_clock_nanosleep(const uint64_t *a) {
    switch ((int)a[0]) {
    case CLOCK_REALTIME: case CLOCK_TAI: case CLOCK_MONOTONIC: case CLOCK_BOOTTIME:
        break;
    case CLOCK_MONOTONIC_RAW: case CLOCK_REALTIME_COARSE: case CLOCK_MONOTONIC_COARSE: case CLOCK_PROCESS_CPUTIME_ID:
        return -EOPNOTSUPP;
    default:
        return -EINVAL;
    }
    if (!time_is_good((const void *)a[2]))
        return -EINVAL;
    sleep_until(deadline_of((int)a[0], a[1] & 1, (const void *)a[2]));      /* TIMER_ABSTIME */
    return 0;
}
