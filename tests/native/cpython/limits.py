"""`python limits.py all PROGRAM WORDS`: the program as a Linux process without files, threads, processes and sockets.

A filter of system calls (seccomp(2)) refuses them just as the kernel of boot images does. So whatever a test does
otherwise under it needs one of these. `clock` instead of `all`: it only cannot set this machine's clock, as some try.
"""

import ctypes
import errno
import os
import signal
import struct
import sys

# asm/unistd_64.h; this is x86-64's.
NOT_THERE = (4, 6, 21, 80, 89, 137, 267, 269, 332, 439)  # stat, lstat, access, chdir, readlink, statfs, …at, statx
READ_ONLY = (76, 82, 83, 84, 85, 86, 87, 88, 90, 92, 94, 133, 258, 259, 260, 263, 264, 265, 266, 268, 280, 316)
NOT_HERE = (7, 22, 23, 57, 58, 213, 232, 233, 270, 271, 281, 284, 290, 291, 293, 319, 434, 435)  # poll, pipe, fork, …
NO_FAMILY = (41, 53)  # socket, socketpair
NO_THREAD = (56,)  # clone
CLOCK = (159, 164, 227, 305)  # adjtimex, settimeofday, clock_settime, clock_adjtime
NO_DESCRIPTOR = (32, 33, 292)  # dup, dup2, dup3
REFUSED = {
    number: error
    for error, numbers in (
        (errno.ENOENT, NOT_THERE),
        (errno.EROFS, READ_ONLY),
        (errno.ENOSYS, NOT_HERE),
        (errno.EAFNOSUPPORT, NO_FAMILY),
        (errno.EAGAIN, NO_THREAD),
        (errno.EPERM, CLOCK),
        (errno.EMFILE, NO_DESCRIPTOR),
    )
    for number in numbers
}
OPEN, OPENAT, NEWFSTATAT = 2, 257, 262
AT_EMPTY_PATH = 0x1000

# linux/bpf_common.h, linux/seccomp.h, linux/prctl.h
LOAD, EQUAL, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, ERROR = 0x7FFF0000, 0x00050000
ARGUMENTS = 16  # where they begin in struct seccomp_data, eight bytes each; the number is at 0
PR_SET_SECCOMP, SECCOMP_MODE_FILTER, PR_SET_NO_NEW_PRIVS = 22, 2, 38

Instruction = tuple[int, int, int, int]  # what; how many to pass over if so, and if not; with what


def instructions(only_clock: bool) -> list[Instruction]:
    made: list[Instruction] = [(LOAD, 0, 0, 0)]
    for number, error in REFUSED.items():
        if number in CLOCK or not only_clock:
            made += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ERROR | error)]
    return [*made, *([] if only_clock else _files()), (RETURN, 0, 0, ALLOW)]


def _files() -> list[Instruction]:
    made: list[Instruction] = []
    for number, argument, bits, if_so, if_not in (
        (OPEN, 1, os.O_CREAT, ERROR | errno.EROFS, ERROR | errno.ENOENT),
        (OPENAT, 2, os.O_CREAT, ERROR | errno.EROFS, ERROR | errno.ENOENT),
        (NEWFSTATAT, 3, AT_EMPTY_PATH, ALLOW, ERROR | errno.ENOENT),
    ):
        made += [(EQUAL, 0, 4, number), (LOAD, 0, 0, ARGUMENTS + 8 * argument), (ANY_BIT, 0, 1, bits)]
        made += [(RETURN, 0, 0, if_so), (RETURN, 0, 0, if_not)]
    return made


def main(what: str, program: str, words: list[str]) -> None:
    made = b"".join(struct.pack("HBBI", *one) for one in instructions(what == "clock"))
    code = ctypes.create_string_buffer(made)
    filter_program = struct.pack("HxxxxxxQ", len(made) // 8, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_char_p(filter_program), 0, 0
    ):
        sys.exit(f"the system calls cannot be filtered: {os.strerror(ctypes.get_errno())}")
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # which is ignored in a shell's background
    os.execve(program, [program, *words], {})


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
