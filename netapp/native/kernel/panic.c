/* An exception of the processor ends the machine: nothing in it can go on. Says what it was, and where. */
#include "machine.h"

#define NULL_AREA PAGE
#define STACK_GUARD (1UL << 20)         /* what misses the stack by less is an overflow */
#define FETCH 16                        /* bits of a page fault's error code */
#define WRITE 2
#define PROTECTED 1

extern char __executable_start[], __etext[], call_stack_low[];

/* CPython's, in Python/traceback.c: "can be called from a signal handler". */
extern void _Py_DumpTraceback(int file, void *thread_state) __attribute__((weak));
extern void *_PyThreadState_UncheckedGet(void) __attribute__((weak));

static const char *const names[32] = {
    "division error", "debug exception", "non-maskable interrupt", "breakpoint", "overflow", "bound range exceeded",
    "invalid instruction", "no coprocessor", "double fault", "coprocessor segment overrun", "invalid task state",
    "segment not present", "stack segment fault", "general protection fault", "page fault", "exception 15",
    "floating-point error", "misaligned access", "machine check", "vector floating-point error", "virtualisation exception",
    "control protection exception", "exception 22", "exception 23", "exception 24", "exception 25", "exception 26",
    "exception 27", "hypervisor injection", "VMM communication exception", "security exception", "exception 31",
};

void panic_traceback(void) {
    void *state = _PyThreadState_UncheckedGet == NULL ? NULL : _PyThreadState_UncheckedGet();
    if (state != NULL && _Py_DumpTraceback != NULL)
        _Py_DumpTraceback(2, state);
    else
        print("no Python code was running\n");
}

static int within(uint64_t address, uint64_t start, uint64_t end) { return address >= start && address < end; }

static void print_page_fault(const struct frame *frame, uint64_t address) {
    if (within(address, STACK_HIGH - STACK_BYTES - STACK_GUARD, STACK_HIGH - STACK_BYTES))
        print("stack overflow (%lu KiB)", STACK_BYTES / 1024);
    else if (within(address, STACK_HIGH - STACK_BYTES, STACK_HIGH))
        print("no memory for the stack");
    else if (within(address, (uint64_t)call_stack_low - PAGE, (uint64_t)call_stack_low))
        print("stack overflow in a system call");
    else if (frame->error & FETCH)
        print(address < NULL_AREA ? "call of NULL" : "execution of data");
    else if (address < NULL_AREA)
        print(frame->error & WRITE ? "write through NULL" : "read through NULL");
    else if (frame->error & WRITE && within(address, (uint64_t)__executable_start, (uint64_t)__etext))
        print("write to code");
    else if (frame->error & WRITE && frame->error & PROTECTED)
        print("write to read-only memory");
    else
        print(frame->error & WRITE ? "write to memory that is not there" : "read of memory that is not there");
    print(" at address 0x%lx", address);
}

void panic_trap(const struct frame *frame) {
    static int again;
    uint64_t address;
    __asm__ volatile("mov %%cr2, %0" : "=r"(address));
    if (again++) {
        if (again == 2)
            print("netapp: panic in a panic: %s at 0x%lx\n", names[frame->vector & 31], frame->rip);
        netapp_power_off(NETAPP_PANIC);
    }
    print("\nnetapp: panic: ");
    if (frame->vector == PAGE_FAULT)
        print_page_fault(frame, address);
    else
        print("%s", names[frame->vector & 31]);
    print("\n  exception %lu, error code 0x%lx\n", frame->vector, frame->error);
    print("  rip %016lx  rsp %016lx  flags %08lx\n", frame->rip, frame->rsp, frame->rflags);
    print("  rax %016lx  rbx %016lx  rcx %016lx  rdx %016lx\n", frame->rax, frame->rbx, frame->rcx, frame->rdx);
    print("  rsi %016lx  rdi %016lx  rbp %016lx  cr2 %016lx\n", frame->rsi, frame->rdi, frame->rbp, address);
    print("  r8  %016lx  r9  %016lx  r10 %016lx  r11 %016lx\n", frame->r8, frame->r9, frame->r10, frame->r11);
    print("  r12 %016lx  r13 %016lx  r14 %016lx  r15 %016lx\n", frame->r12, frame->r13, frame->r14, frame->r15);
    if (frame->vector == PAGE_FAULT && frame->error & FETCH && within(frame->rsp, STACK_HIGH - STACK_BYTES, STACK_HIGH))
        print("  called from before %016lx\n", *(uint64_t *)frame->rsp);
    panic_traceback();
    netapp_power_off(NETAPP_PANIC);
}
