/* One request to the first virtio-rng device (VIRTIO 1.2, 5.4), before the program starts; the device is reset afterwards.
 * Polled, on a split queue (2.7) of one descriptor. Later use of virtio is Python's. */
#include "machine.h"

#define ENTROPY_DEVICE 4
#define MAGIC 0x74726976                /* 4.2.2 */
#define MODERN_WINDOW 2
#define SIZE 4                          /* of the queue: 4 suits every device */
#define WAIT 1000000000ULL              /* ns */
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8, FAILED = 128 };     /* 2.1 */
#define VERSION_1 (1U << (32 - 32))     /* of the second word of features */
#define WRITE 2                         /* of a descriptor: for the device */

static struct {
    struct { uint64_t address; uint32_t length; uint16_t flags, next; } descriptors[SIZE];
    struct { uint16_t flags, index, ring[SIZE], event; } available;
    struct { uint16_t flags, index; struct { uint32_t id, length; } ring[SIZE]; uint16_t event; } used
        __attribute__((aligned(4)));
    uint8_t bytes[64];
} volatile queue __attribute__((aligned(4096)));

/* What the two transports have in common, as register writes. */
struct device {
    int on_pci;
    uint64_t base;                      /* MMIO: the window. PCI: the common configuration */
    uint64_t notify;                    /* PCI: the notification area; then the address of queue 0 in it */
    uint32_t notify_multiplier;
};

/* --- 4.1.4.3: offsets in the common configuration; 4.2.2: in the MMIO window */
static void write8(uint64_t at, uint8_t value) { *(volatile uint8_t *)at = value; }
static void write16(uint64_t at, uint16_t value) { *(volatile uint16_t *)at = value; }
static void write64(uint64_t at, volatile void *value) {
    register_write32(at, (uint32_t)(uint64_t)value);
    register_write32(at + 4, (uint32_t)((uint64_t)value >> 32));
}

static void set_status(const struct device *device, uint8_t status) {
    if (device->on_pci)
        write8(device->base + 20, status);
    else
        register_write32(device->base + 0x70, status);
}

static uint8_t get_status(const struct device *device) {
    return device->on_pci ? *(volatile uint8_t *)(device->base + 20) : (uint8_t)register_read32(device->base + 0x70);
}

static void accept_features(const struct device *device) {      /* VIRTIO_F_VERSION_1 and no other */
    uint64_t select = device->base + (device->on_pci ? 8 : 0x24), value = device->base + (device->on_pci ? 12 : 0x20);
    register_write32(select, 0);
    register_write32(value, 0);
    register_write32(select, 1);
    register_write32(value, VERSION_1);
}

static void set_queue(struct device *device) {
    uint64_t base = device->base;
    if (device->on_pci) {
        write16(base + 22, 0);
        write16(base + 24, SIZE);
        write64(base + 32, queue.descriptors);
        write64(base + 40, &queue.available);
        write64(base + 48, &queue.used);
        device->notify += *(volatile uint16_t *)(base + 30) * device->notify_multiplier;
        write16(base + 28, 1);
    } else {
        register_write32(base + 0x30, 0);
        register_write32(base + 0x38, SIZE);
        write64(base + 0x80, queue.descriptors);
        write64(base + 0x90, &queue.available);
        write64(base + 0xa0, &queue.used);
        register_write32(base + 0x44, 1);
    }
}

static int ask(struct device *device, void *bytes, uint32_t count) {
    uint64_t began = netapp_clock();
    int good = 0;
    set_status(device, 0);
    while (get_status(device) != 0 && netapp_clock() - began < WAIT)
        ;
    set_status(device, ACKNOWLEDGE | DRIVER);
    accept_features(device);
    set_status(device, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    if (get_status(device) & FEATURES_OK) {
        queue.descriptors[0].address = (uint64_t)queue.bytes;
        queue.descriptors[0].length = count;
        queue.descriptors[0].flags = WRITE;
        set_queue(device);
        set_status(device, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
        queue.available.index = 1;
        __asm__ volatile("mfence" : : : "memory");
        if (device->on_pci)
            write16(device->notify, 0);
        else
            register_write32(device->base + 0x50, 0);
        while (queue.used.index == 0 && netapp_clock() - began < WAIT)
            ;
        good = queue.used.index != 0 && queue.used.ring[0].length >= count;     /* less would not be enough */
    }
    set_status(device, 0);
    memcpy(bytes, (void *)queue.bytes, good ? count : 0);
    queue.available.index = queue.used.index = 0;
    return good;
}

/* --- Which device */
static int find_mmio(struct device *device) {
    struct netapp_window window;
    for (int i = 0; netapp_window(i, &window); i++) {
        uint64_t base = window.address;
        if (netapp_registers_map(base, window.size) == 0 && register_read32(base) == MAGIC &&
            register_read32(base + 4) == MODERN_WINDOW && register_read32(base + 8) == ENTROPY_DEVICE) {
            *device = (struct device){.base = base};
            return 1;
        }
    }
    return 0;
}

/* PCI, by configuration mechanism 1, bus 0. */
static uint32_t pci_read(int function, int at) {
    netapp_port_write32(0xcf8, 0x80000000 | (uint32_t)function << 8 | (uint32_t)at);
    return netapp_port_read32(0xcfc);
}

static void pci_write(int function, int at, uint32_t value) {
    netapp_port_write32(0xcf8, 0x80000000 | (uint32_t)function << 8 | (uint32_t)at);
    netapp_port_write32(0xcfc, value);
}

static uint64_t base_address(int function, int bar) {
    uint32_t low = pci_read(function, 0x10 + 4 * bar);
    uint64_t high = (low & 7) == 4 ? pci_read(function, 0x14 + 4 * bar) : 0;
    return low & 1 ? 0 : high << 32 | (low & ~15U);
}

static int find_pci_function(struct device *device, int function) {    /* 4.1.4: the vendor's capabilities */
    uint64_t notify = 0;
    *device = (struct device){.on_pci = 1};
    for (int at = pci_read(function, 0x34) & 0xfc; at != 0; at = pci_read(function, at) >> 8 & 0xfc) {
        uint32_t head = pci_read(function, at);
        if ((head & 0xff) != 9)
            continue;
        uint64_t address = base_address(function, pci_read(function, at + 4) & 7);
        if (address == 0)
            continue;
        address += pci_read(function, at + 8);
        if (head >> 24 == 1 && device->base == 0 && netapp_registers_map(address, PAGE) == 0) {
            device->base = address;
        } else if (head >> 24 == 2 && notify == 0 && netapp_registers_map(address, PAGE) == 0) {
            notify = address;
            device->notify_multiplier = pci_read(function, at + 16);
        }
    }
    device->notify = notify;
    pci_write(function, 4, (pci_read(function, 4) & 0xffff) | 6);       /* memory, bus master */
    return device->base != 0 && notify != 0;
}

#define MODERN ((0x1040U + ENTROPY_DEVICE) << 16 | 0x1af4)      /* 4.1.2 */
#define TRANSITIONAL (0x1005U << 16 | 0x1af4)

static int find_pci(struct device *device) {
    netapp_port_write32(0xcf8, 0x80000000);
    if (netapp_port_read32(0xcf8) != 0x80000000)
        return 0;
    for (int function = 0; function < 256; function++) {
        uint32_t identity = pci_read(function, 0);
        if ((identity == MODERN || identity == TRANSITIONAL) && find_pci_function(device, function))
            return 1;
    }
    return 0;
}

int virtio_rng_read(void *bytes, uint32_t count) {
    struct device device;
    return (find_mmio(&device) || find_pci(&device)) && ask(&device, bytes, count);
}
