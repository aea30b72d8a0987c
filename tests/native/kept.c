/* What a snapshot keeps: put down before it is made, looked at by the machine that goes on from it. */
#include <fenv.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SMALL 5000
#define LARGE (3 << 20)
#define BLOCK (100 << 10)

static volatile int signalled;
static int began, in_data = 1, in_bss;
static __thread int of_thread = 1;
static unsigned char *small, *large;
static struct timespec now, day;                 /* the same in two snapshots */

static void fill(unsigned char *bytes, size_t count) {
    for (size_t i = 0; i < count; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 251);
}

static int is_filled(const unsigned char *bytes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != (unsigned char)(i * 7 + i / 251))
            return 0;
    return 1;
}

static void handle(int number) { signalled += number; }

void keep(void) {
    void *before = malloc(LARGE), *middle;
    began = in_data = in_bss = of_thread = 70;
    fill(small = malloc(SMALL), SMALL);
    fill(middle = malloc(LARGE), LARGE);
    fill(large = malloc(LARGE), LARGE);
    free(before);
    free(middle);
    clock_gettime(CLOCK_MONOTONIC, &now);
    clock_gettime(CLOCK_REALTIME, &day);
    fesetround(FE_UPWARD);
    setenv("KEPT", "yes", 1);
    signal(SIGUSR1, handle);
    signal(SIGUSR2, SIG_IGN);
}

/* Whoever gets more memory, all that a small machine has, gets nothing of what is kept. */
static int is_apart(void) {
    size_t count = 0;
    for (void *got; count < 1000 && (got = malloc(BLOCK)) != NULL; count++)
        memset(got, 0xee, BLOCK);
    return count > 20;
}

int kept(void) {
    const char *word = getenv("KEPT");
    if (began == 0) {
        puts("kept: nothing");
        return 0;
    }
    raise(SIGUSR1);
    raise(SIGUSR2);
    int good = signalled == SIGUSR1 && began == 70 && in_data == 70 && in_bss == 70 && of_thread == 70 &&
               fegetround() == FE_UPWARD && (__builtin_ia32_stmxcsr() & 0x6000) == 0x4000 && sbrk(4096) != (void *)-1 &&
               word != NULL && strcmp(word, "yes") == 0 && is_apart() && is_filled(small, SMALL) && is_filled(large, LARGE);
    puts(good ? "kept: good" : "kept: bad");
    return !good;
}
