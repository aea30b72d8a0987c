/* Features of the processor. */
#include "machine.h"

#define OSXSAVE (1U << 18)
#define FSGSBASE (1U << 16)
#define XSAVE_STATES 0xe7U              /* x87, SSE, AVX, AVX-512: what needs no further set-up */

static int vendor_is(const struct cpuid *leaf, const char *name) {
    uint32_t text[3] = {leaf->ebx, leaf->ecx, leaf->edx};
    return memcmp(text, name, sizeof text) == 0;
}

enum hypervisor cpu_hypervisor(void) {
    if (!(cpuid(1, 0).ecx >> 31 & 1))
        return NO_HYPERVISOR;
    struct cpuid leaf = cpuid(0x40000000, 0);
    if (vendor_is(&leaf, "KVMKVMKVM\0\0"))
        return HYPERVISOR_KVM;
    return vendor_is(&leaf, "TCGTCGTCGTCG") ? HYPERVISOR_TCG : OTHER_HYPERVISOR;
}

uint32_t cpu_kvm_features(void) {
    return cpu_hypervisor() == HYPERVISOR_KVM ? cpuid(0x40000001, 0).eax : 0;
}

void cpu_enable_vectors(void) {
    uint64_t control;
    __asm__ volatile("mov %%cr4, %0" : "=r"(control));
    if (cpuid(0, 0).eax >= 7 && cpuid(7, 0).ebx & 1)
        control |= FSGSBASE;
    if (cpuid(1, 0).ecx >> 26 & 1)      /* XSAVE */
        control |= OSXSAVE;
    __asm__ volatile("mov %0, %%cr4" : : "r"(control));
    if (control & OSXSAVE) {
        uint32_t states = cpuid(0xd, 0).eax & XSAVE_STATES;
        if ((states & 0xe0) != 0xe0)    /* the three of AVX-512 go together */
            states &= ~0xe0U;
        __asm__ volatile("xsetbv" : : "c"(0), "a"(states), "d"(0));
    }
}
