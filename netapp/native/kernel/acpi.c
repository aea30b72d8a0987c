/* What is read of ACPI's tables (ACPI 6.5, chapter 5): timers, I/O APICs, how the power goes off, where virtio's windows
 * are. No bytecode is run: the constants looked for are found as their encodings. */
#include "machine.h"

#define TABLE_HEADER 36
#define BIOS_START 0xe0000
#define BIOS_END 0x100000
#define HARDWARE_REDUCED (1U << 20)
#define TIMER_WIDE (1U << 8)
#define FIRST_IO_APIC 0xfec00000

struct acpi acpi;

static int sums_to_zero(const uint8_t *bytes, uint32_t count) {
    uint8_t sum = 0;
    while (count-- > 0)
        sum += *bytes++;
    return sum == 0;
}

static int signed_as(const void *table, const char *name) { return memcmp(table, name, 4) == 0; }
static uint32_t length_of(const void *table) { return read32((const char *)table + 4); }

static const uint8_t *find_root(void) {
    if (boot.rsdp != 0)
        return (const uint8_t *)boot.rsdp;
    for (uint64_t at = BIOS_START; at < BIOS_END; at += 16)
        if (memcmp((void *)at, "RSD PTR ", 8) == 0 && sums_to_zero((void *)at, 20))
            return (const uint8_t *)at;
    return NULL;
}

/* 7.4.2: \_S5 is a package whose first element is SLP_TYPa. It is the constant that AML encodes in two bytes or one. */
static uint8_t off_type(const uint8_t *table) {
    const uint8_t *end = table + length_of(table);
    for (const uint8_t *at = table + TABLE_HEADER; at + 9 <= end; at++) {
        if (memcmp(at, "_S5_\x12", 5) != 0)     /* PackageOp */
            continue;
        at += 5;
        at += 1 + (*at >> 6) + 1;       /* PkgLength (20.2.4), NumElements */
        if (at + 2 <= end)
            return *at == 0x0a ? at[1] : *at;   /* BytePrefix; ZeroOp, OneOp */
    }
    return 0;
}

/* The resources of a virtio window (6.4.3.4, 6.4.3.6) follow its name: Memory32Fixed, then Interrupt. */
static void read_windows(const uint8_t *table) {
    const uint8_t *end = table + length_of(table), *memory = NULL;
    int named = 0;
    for (const uint8_t *at = table + TABLE_HEADER; at + 12 <= end; at++) {
        if (memcmp(at, "LNRO0005", 9) == 0) {
            named = 1;
            memory = NULL;
        } else if (named && memcmp(at, "\x86\x09\x00", 3) == 0) {
            memory = at;
        } else if (memory != NULL && memcmp(at, "\x89\x06\x00", 3) == 0 && at[4] == 1) {
            windows_add(read32(memory + 4), read32(memory + 8), read32(at + 5), at[3] & 2);
            named = 0;
            memory = NULL;
        }
    }
}

static void read_fadt(const uint8_t *table) {   /* 5.2.9 */
    uint32_t length = length_of(table), flags = read32(table + 112);
    uint64_t dsdt = read32(table + 40);
    if (length >= 148 && read64(table + 140) != 0)
        dsdt = read64(table + 140);
    if (dsdt != 0) {
        acpi.off_type = off_type((const uint8_t *)dsdt);
        read_windows((const uint8_t *)dsdt);
    }
    if (flags & HARDWARE_REDUCED) {
        if (length >= 256) {            /* SLEEP_CONTROL_REG, a generic address: 5.2.3.2 */
            acpi.sleep_register_is_port = table[244] == 1;
            acpi.sleep_register = read64(table + 248);
        }
        return;
    }
    acpi.timer_port = (uint16_t)read32(table + 76);
    acpi.timer_wide = (flags & TIMER_WIDE) != 0;
    acpi.power_port = (uint16_t)read32(table + 64);
}

static void read_madt(const uint8_t *table) {   /* 5.2.12 */
    const uint8_t *end = table + length_of(table);
    for (const uint8_t *entry = table + 44; entry + 2 <= end && entry[1] >= 2; entry += entry[1])
        if (entry[0] == 1 && acpi.io_apic_count < 8) {
            acpi.io_apic[acpi.io_apic_count].address = read32(entry + 4);
            acpi.io_apic[acpi.io_apic_count].first_line = read32(entry + 8);
            acpi.io_apic_count++;
        }
}

static void read_table(const uint8_t *table) {
    if (signed_as(table, "FACP"))
        read_fadt(table);
    else if (signed_as(table, "APIC"))
        read_madt(table);
    else if (signed_as(table, "SSDT"))
        read_windows(table);
    else if (signed_as(table, "HPET") && table[40] == 0)        /* in memory */
        acpi.hpet = read64(table + 44);
}

void acpi_start(void) {
    const uint8_t *root = find_root();
    if (root != NULL) {
        int wide = root[15] >= 2 && read64(root + 24) != 0;     /* XSDT or RSDT: 5.2.5.3 */
        const uint8_t *list = (const uint8_t *)(wide ? read64(root + 24) : read32(root + 16));
        uint32_t size = wide ? 8 : 4;
        for (uint32_t at = TABLE_HEADER; at + size <= length_of(list); at += size)
            read_table((const uint8_t *)(wide ? read64(list + at) : read32(list + at)));
    }
    if (acpi.io_apic_count == 0)        /* where every machine has it */
        acpi.io_apic[acpi.io_apic_count++].address = FIRST_IO_APIC;
}
