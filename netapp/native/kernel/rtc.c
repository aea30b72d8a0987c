/* Time of day from the battery-backed clock (MC146818), once, to the second. */
#include "machine.h"

#define ADDRESS 0x70
#define DATA 0x71
enum { SECONDS = 0, MINUTES = 2, HOURS = 4, DAY = 7, MONTH = 8, YEAR = 9, STATUS_A = 10, STATUS_B = 11 };
#define UPDATING 0x80
#define HOURS_24 0x02
#define BINARY 0x04
#define TRIES 10000                     /* an update takes 2 ms; where there is no clock, it never ends */

static uint8_t rtc_register(uint8_t number) {
    netapp_port_write8(ADDRESS, number);
    return netapp_port_read8(DATA);
}

static int64_t days_since_1970(int64_t year, int64_t month, int64_t day) {     /* of the Gregorian calendar */
    year -= month <= 2;
    int64_t era = year / 400, of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int read_fields(uint8_t fields[6]) {
    static const uint8_t numbers[6] = {SECONDS, MINUTES, HOURS, DAY, MONTH, YEAR};
    int tries = 0;
    while (rtc_register(STATUS_A) & UPDATING)
        if (++tries == TRIES)
            return 0;
    for (int i = 0; i < 6; i++)
        fields[i] = rtc_register(numbers[i]);
    return 1;
}

int64_t rtc_read(void) {
    uint8_t fields[6], again[6];
    do                                  /* the same twice: no update came between */
        if (!read_fields(fields) || !read_fields(again))
            return 0;
    while (memcmp(fields, again, sizeof fields) != 0);
    uint8_t status = rtc_register(STATUS_B), afternoon = fields[2] & 0x80;
    fields[2] &= 0x7f;
    for (int i = 0; i < 6 && !(status & BINARY); i++)
        fields[i] = (uint8_t)(fields[i] / 16 * 10 + fields[i] % 16);
    if (!(status & HOURS_24))
        fields[2] = (uint8_t)(fields[2] % 12 + (afternoon ? 12 : 0));
    int64_t days = days_since_1970(2000 + fields[5], fields[4], fields[3]);
    return (((days * 24 + fields[2]) * 60 + fields[1]) * 60 + fields[0]) * 1000000000;
}
