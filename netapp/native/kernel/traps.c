/* The tables by which the processor finds the ways in of entry.S. */
#include "machine.h"

#define STAR 0xc0000081
#define LSTAR 0xc0000082
#define FMASK 0xc0000084
#define FMASK_VALUE 0x40700             /* AC, DF, IF, TF */
#define CODE 8
#define TASK 0x18
#define INTERRUPT_GATE 0x8e
#define STACK_TOTAL 16384
#define PRESENT 1                       /* of its error code: the page is there, but not for this */

/* Interrupts, exceptions, and those that may come at any time (NMI, double fault, machine check) each have a stack, so
 * that none of them overwrites what another one is in. */
enum { INTERRUPT_STACK = 1, EXCEPTION_STACK = 2, LAST_STACK = 3 };
static char stacks[3][STACK_TOTAL] __attribute__((aligned(16)));

struct gate { uint16_t low, segment; uint8_t stack, kind; uint16_t middle; uint32_t high, zero; };
static struct gate gates[256];

static struct { uint32_t reserved; uint64_t rsp[3], none, ist[7]; uint8_t rest[16]; } __attribute__((packed)) task;

extern char trap_stubs[], system_call_entry[];
extern uint64_t segments[];

struct pointer { uint16_t limit; uint64_t address; } __attribute__((packed));

static int stack_of(int vector) {
    if (vector == 2 || vector == 8 || vector == 18)
        return LAST_STACK;
    return vector < 32 ? EXCEPTION_STACK : INTERRUPT_STACK;
}

void traps_start(void) {
    uint64_t at = (uint64_t)&task;
    for (int i = 0; i < 3; i++)
        task.ist[i] = (uint64_t)stacks[i] + STACK_TOTAL;
    segments[3] = (sizeof task - 1) | (at & 0xffffff) << 16 | 0x89ULL << 40 | (at >> 24 & 0xff) << 56;
    segments[4] = at >> 32;
    __asm__ volatile("ltr %w0" : : "r"(TASK));

    for (int vector = 0; vector < 256; vector++) {
        uint64_t stub = (uint64_t)trap_stubs + 16 * (uint64_t)vector;
        gates[vector].low = (uint16_t)stub;
        gates[vector].middle = (uint16_t)(stub >> 16);
        gates[vector].high = (uint32_t)(stub >> 32);
        gates[vector].segment = CODE;
        gates[vector].stack = (uint8_t)stack_of(vector);
        gates[vector].kind = INTERRUPT_GATE;
    }
    struct pointer table = {sizeof gates - 1, (uint64_t)gates};
    __asm__ volatile("lidt %0" : : "m"(table));

    msr_write(STAR, (uint64_t)CODE << 32);      /* the segments of ring 0, for which the program is no other */
    msr_write(LSTAR, (uint64_t)system_call_entry);
    msr_write(FMASK, FMASK_VALUE);
}

/* Called by entry.S. Who is interrupted goes on where this returns. */
void exception(struct frame *frame);
void exception(struct frame *frame) {
    uint64_t address;
    __asm__ volatile("mov %%cr2, %0" : "=r"(address));
    if (frame->vector != PAGE_FAULT || frame->error & PRESENT || !stack_grow(address))
        panic_trap(frame);
}
