/* Files: the console is what descriptors 0, 1 and 2 are, and there is nothing else, not even a root. */
#include <fcntl.h>
#include <sys/stat.h>

#include "system_calls.h"

#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif
#define CONSOLE_DEVICE (4 << 8 | 64)    /* as Linux has ttyS0 */

#define PIECES 1024                     /* UIO_MAXIOV */

static int is_console(uint64_t descriptor) { return (uint32_t)descriptor <= 2; }        /* an int, whatever is above it */

int64_t call_read(const uint64_t *a) { return is_console(a[0]) ? 0 : -EBADF; }        /* the end of file */

int64_t call_write(const uint64_t *a) {
    if (!is_console(a[0]))
        return -EBADF;
    netapp_console_write((const void *)a[1], a[2]);
    return (int64_t)a[2];
}

int64_t call_writev(const uint64_t *a) {
    const struct { const void *text; uint64_t size; } *piece = (const void *)a[1];
    int64_t written = 0;
    if (!is_console(a[0]))
        return -EBADF;
    if (a[2] > PIECES)
        return -EINVAL;
    for (uint64_t i = 0; i < a[2]; i++)
        if (piece[i].size > (uint64_t)INT64_MAX)
            return -EINVAL;
    for (uint64_t i = 0; i < a[2]; i++) {
        netapp_console_write(piece[i].text, piece[i].size);
        written += (int64_t)piece[i].size;
    }
    return written;
}

static int64_t open_with(uint64_t flags) { return flags & O_CREAT ? -EROFS : -ENOENT; }
int64_t call_open(const uint64_t *a) { return open_with(a[1]); }
int64_t call_openat(const uint64_t *a) { return open_with(a[2]); }

int64_t call_close(const uint64_t *a) { return is_console(a[0]) ? 0 : -EBADF; }

static int64_t console_stat(uint64_t descriptor, void *to) {
    if (!is_console(descriptor))
        return -EBADF;
    struct stat *stat = to;
    memset(stat, 0, sizeof *stat);
    stat->st_mode = S_IFCHR | 0600;
    stat->st_nlink = 1;
    stat->st_rdev = CONSOLE_DEVICE;
    stat->st_blksize = 1024;
    return 0;
}
int64_t call_fstat(const uint64_t *a) { return console_stat(a[0], (void *)a[1]); }
int64_t call_newfstatat(const uint64_t *a) {
    const char *path = (const char *)a[1];
    return a[3] & AT_EMPTY_PATH && *path == 0 ? console_stat(a[0], (void *)a[2]) : -ENOENT;
}

int64_t call_ioctl(const uint64_t *a) { return is_console(a[0]) ? -ENOTTY : -EBADF; }
int64_t call_dup(const uint64_t *a) { return is_console(a[0]) ? -EMFILE : -EBADF; }
int64_t call_at_place(const uint64_t *a) { return is_console(a[0]) ? -ESPIPE : -EBADF; }
int64_t call_not_kept(const uint64_t *a) { return is_console(a[0]) ? -EINVAL : -EBADF; }
int64_t call_no_socket(const uint64_t *a) { return is_console(a[0]) ? -ENOTSOCK : -EBADF; }
int64_t call_not_open(const uint64_t *a) { (void)a; return -EBADF; }
int64_t call_fchdir(const uint64_t *a) { return is_console(a[0]) ? -ENOTDIR : -EBADF; }
int64_t call_getdents(const uint64_t *a) { return is_console(a[0]) ? -ENOTDIR : -EBADF; }

int64_t call_fcntl(const uint64_t *a) {
    if (!is_console(a[0]))
        return -EBADF;
    switch (a[1]) {
    case F_GETFD: case F_SETFD: case F_SETFL:
        return 0;
    case F_GETFL:
        return O_RDWR;
    case F_DUPFD: case F_DUPFD_CLOEXEC:
        return -EMFILE;
    default:
        return -EINVAL;
    }
}

int64_t call_getcwd(const uint64_t *a) {
    if (a[1] < 2)
        return -ERANGE;
    memcpy((void *)a[0], "/", 2);
    return 2;
}

int64_t call_no_file(const uint64_t *a) { (void)a; return -ENOENT; }
int64_t call_read_only(const uint64_t *a) { (void)a; return -EROFS; }
