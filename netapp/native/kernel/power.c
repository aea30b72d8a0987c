/* The end. */
#include "machine.h"

#define DEBUG_EXIT 0xf4                 /* QEMU's isa-debug-exit, which gives the status to whoever started QEMU */
#define SLEEP_ENABLE_REDUCED 0x20       /* ACPI 6.5, 4.8.3.7 */
#define SLEEP_ENABLE 0x2000             /* 4.8.3.2.1 */

static void acpi_power_off(void) {
    uint8_t value = (uint8_t)(acpi.off_type << 2 | SLEEP_ENABLE_REDUCED);
    if (acpi.sleep_register_is_port)
        netapp_port_write8((uint16_t)acpi.sleep_register, value);
    else if (acpi.sleep_register != 0)
        *(volatile uint8_t *)acpi.sleep_register = value;
    if (acpi.power_port != 0)
        netapp_port_write16(acpi.power_port, (uint16_t)(acpi.off_type << 10 | SLEEP_ENABLE));
}

void netapp_power_off(int status) {
    /* At once, where it is there; the others take their time. Status 0 is what QEMU ends with when the power goes off. */
    if (status != 0)
        netapp_port_write32(DEBUG_EXIT, (uint32_t)status);
    if (acpi.power_port != 0 || acpi.sleep_register != 0) {
        acpi_power_off();
        wait_microseconds(1000000);
    }
    for (int tries = 0; tries < 1000 && netapp_port_read8(0x64) & 2; tries++)
        ;                               /* the keyboard controller takes a command */
    netapp_port_write8(0x64, 0xfe);     /* reset: Firecracker, which has no ACPI power-off, ends */
    wait_microseconds(100000);
    struct { uint16_t limit; uint64_t address; } __attribute__((packed)) none = {0, 0};
    __asm__ volatile("lidt %0; int3" : : "m"(none));    /* an exception that nobody handles resets the processor */
    halt_for_ever();
    __builtin_unreachable();
}
