/* Where virtio's MMIO windows are: ACPI's devices LNRO0005 (as in Linux, drivers/virtio/virtio_mmio.c), and those that the
 * command line names, virtio_mmio.device=SIZE@ADDRESS:LINE. QEMU's microvm and Firecracker tell in one of these ways. */
#include "machine.h"

static struct netapp_window windows[WINDOWS];
static int count;

void windows_add(uint64_t address, uint64_t size, uint32_t line, int edge) {
    for (int i = 0; i < count; i++)
        if (windows[i].address == address)
            return;
    if (count < WINDOWS && address != 0 && address % 4 == 0 && size >= 0x100)
        windows[count++] = (struct netapp_window){address, size, line, edge};
}

static uint64_t number(const char **text) {
    uint64_t value = 0, base = 10;
    if ((*text)[0] == '0' && ((*text)[1] | 32) == 'x') {
        base = 16;
        *text += 2;
    }
    for (;; ++*text) {
        char digit = **text | 32;
        uint64_t figure = digit >= '0' && digit <= '9'   ? (uint64_t)(digit - '0')
                          : digit >= 'a' && digit <= 'f' ? (uint64_t)(digit - 'a' + 10)
                                                         : 99;
        if (figure >= base)
            return value;
        value = value * base + figure;
    }
}

static uint64_t number_of_bytes(const char **text) {
    uint64_t value = number(text);
    int shift = **text == 'K' || **text == 'k' ? 10 : **text == 'M' || **text == 'm' ? 20 : 0;
    *text += shift != 0;
    return value << shift;
}

void windows_read_command_line(void) {
    static const char name[] = "virtio_mmio.device=";
    const size_t length = sizeof name - 1;
    for (const char *text = boot.command_line; strlen(text) > length; text++) {
        if (memcmp(text, name, length) != 0 || (text > boot.command_line && text[-1] != ' '))
            continue;
        text += length;
        uint64_t size = number_of_bytes(&text);
        if (*text != '@')
            continue;
        text++;
        uint64_t address = number(&text);
        if (*text != ':')
            continue;
        text++;
        windows_add(address, size, (uint32_t)number(&text), 1);
        if (*text == 0)
            break;
    }
}

int netapp_window(int index, struct netapp_window *window) {
    if (index < 0 || index >= count)
        return 0;
    *window = windows[index];
    return 1;
}
