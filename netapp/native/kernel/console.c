/* The first serial port (a 16550), which every one of the machines has, and formatted printing on it. */
#include "machine.h"

#define PORT 0x3f8
#define LINE_STATUS (PORT + 5)
#define DATA_READY 0x01
#define TRANSMIT_EMPTY 0x20

static int absent;

void console_start(void) {
    netapp_port_write8(PORT + 3, 0x80);         /* divisor: 115200 bits a second */
    netapp_port_write8(PORT + 0, 1);
    netapp_port_write8(PORT + 1, 0);
    netapp_port_write8(PORT + 3, 0x03);         /* 8 bits, no parity, one stop bit */
    netapp_port_write8(PORT + 2, 0x07);         /* queues on and empty, an interrupt for each byte */
    netapp_port_write8(PORT + 4, 0x0b);         /* ready; OUT2 lets interrupts out */
    netapp_port_write8(PORT + 1, 0x01);         /* an interrupt when a byte has come */
    absent = netapp_port_read8(LINE_STATUS) == 0xff;
}

static void put(char byte) {
    for (int tries = 0; tries < 100000 && !(netapp_port_read8(LINE_STATUS) & TRANSMIT_EMPTY); tries++)
        ;                                       /* bounded: a console that hangs stops nothing */
    netapp_port_write8(PORT, byte);
}

void netapp_console_write(const void *text, size_t size) {
    if (absent)
        return;
    for (const char *byte = text; size > 0; size--, byte++) {
        if (*byte == '\n')
            put('\r');
        put(*byte);
    }
}

int netapp_console_read(void) {
    if (absent || !(netapp_port_read8(LINE_STATUS) & DATA_READY))
        return -1;
    return netapp_port_read8(PORT);
}

static void print_number(uint64_t value, unsigned base, int width, char fill) {
    char digits[32];
    int count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    while (count < width && count < (int)sizeof digits)
        digits[count++] = fill;
    while (count > 0)
        netapp_console_write(&digits[--count], 1);
}

static void print_list(const char *format, va_list values) {
    for (; *format != 0; format++) {
        if (*format != '%') {
            netapp_console_write(format, 1);
            continue;
        }
        char fill = *++format == '0' ? '0' : ' ';
        int width = 0, wide = 0;
        for (; *format >= '0' && *format <= '9'; format++)
            width = width * 10 + *format - '0';
        for (; *format == 'l'; format++)
            wide = 1;
        if (*format == 's') {
            const char *text = va_arg(values, const char *);
            netapp_console_write(text, strlen(text));
        } else if (*format == 'c') {
            char byte = (char)va_arg(values, int);
            netapp_console_write(&byte, 1);
        } else if (*format == 'd') {
            int64_t value = wide ? va_arg(values, int64_t) : va_arg(values, int);
            if (value < 0)
                netapp_console_write("-", 1);
            print_number(value < 0 ? -(uint64_t)value : (uint64_t)value, 10, width, fill);
        } else if (*format == 'u' || *format == 'x') {
            uint64_t value = wide ? va_arg(values, uint64_t) : va_arg(values, unsigned);
            print_number(value, *format == 'u' ? 10 : 16, width, fill);
        } else {
            netapp_console_write(format, 1);
        }
    }
}

void print(const char *format, ...) {
    va_list values;
    va_start(values, format);
    print_list(format, values);
    va_end(values);
}

void panic(const char *format, ...) {
    static int again;
    va_list values;
    if (again)
        netapp_power_off(NETAPP_PANIC);
    again = 1;
    print("\nnetapp: panic: ");
    va_start(values, format);
    print_list(format, values);
    va_end(values);
    print("\n");
    panic_traceback();
    netapp_power_off(NETAPP_PANIC);
}

void refuse(int status, const char *format, ...) {
    va_list values;
    print("netapp: ");
    va_start(values, format);
    print_list(format, values);
    va_end(values);
    print("\n");
    netapp_power_off(status);
}
