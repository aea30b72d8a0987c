/* From the loader to the program, in order. */
#include "machine.h"

int netapp_kernel_runs;

void program_start(uint64_t stack) __attribute__((noreturn));
void kernel_start(uint32_t magic, uint64_t information) __attribute__((noreturn));

void kernel_start(uint32_t magic, uint64_t information) {
    netapp_kernel_runs = 1;
    console_start();
    traps_start();
    cpu_enable_vectors();
    boot_read(magic, information);
    acpi_start();
    windows_read_command_line();
    uint64_t kept = snapshot_place();
    pages_start(kept);
    if (kept != 0)
        snapshot_keep();
    paging_start();
    pages_add_high();
    apic_start();
    clock_start();
    apic_calibrate();
    entropy_start();
    if (kept != 0)
        snapshot_go_on();
    system_calls_start();
    program_start(stack_fill());
}
