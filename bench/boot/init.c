/* The first and only program of the Linux guest of bench.boot: drivers, an address, memcached. Arguments of the kernel's
   command line behind "--" are memcached's. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

static void fail(const char *what)
{
    fprintf(stderr, "init: %s: %s\n", what, strerror(errno));
    reboot(RB_POWER_OFF);
    _exit(1);
}

/* In the order of /modules, which depend on those before them. */
static void load_modules(void)
{
    char name[256];
    FILE *list = fopen("/modules", "r");
    if (list == NULL)
        fail("/modules");
    while (fscanf(list, "%255s", name) == 1) {
        int file = open(name, O_RDONLY);
        if (file < 0 || syscall(SYS_finit_module, file, "", 0) != 0)
            fail(name);
        close(file);
    }
    fclose(list);
}

static void set_up(int file, const char *name, const char *address, const char *mask)
{
    struct ifreq request = {0};
    struct sockaddr_in *where = (struct sockaddr_in *)&request.ifr_addr;
    strcpy(request.ifr_name, name);
    where->sin_family = AF_INET;
    inet_pton(AF_INET, address, &where->sin_addr);
    if (ioctl(file, SIOCSIFADDR, &request) != 0)
        fail("address");
    inet_pton(AF_INET, mask, &where->sin_addr);
    if (ioctl(file, SIOCSIFNETMASK, &request) != 0)
        fail("netmask");
    request.ifr_flags = IFF_UP;
    if (ioctl(file, SIOCSIFFLAGS, &request) != 0)
        fail("up");
}

int main(int count, char **arguments)
{
    static char *environment[] = {NULL};
    int file = socket(AF_INET, SOCK_DGRAM, 0);
    const char *address = getenv("ADDRESS"), *mask = getenv("NETMASK");
    (void)count;
    if (address == NULL || mask == NULL) {
        errno = EINVAL;
        fail("ADDRESS and NETMASK");
    }
    mount("none", "/dev", "devtmpfs", 0, NULL);
    load_modules();
    set_up(file, "lo", "127.0.0.1", "255.0.0.0");
    set_up(file, "eth0", address, mask);
    close(file);
    arguments[0] = "/memcached";
    execve("/memcached", arguments, environment);
    fail("/memcached");
}
