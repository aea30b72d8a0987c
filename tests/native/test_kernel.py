"""The kernel of boot images under a small program in C: how it ends, and what the program can rely on."""

import errno
import re
import subprocess
from pathlib import Path

import pytest

from tests.native.cpython.limits import REFUSED
from tests.support.guests import MACHINES, run

pytestmark = pytest.mark.system

PANIC, UNKNOWN_CALL, NO_MEMORY, NO_ENTROPY, NO_CLOCK, ABORTED = range(70, 76)

MODERN_WINDOWS = ("-global", "virtio-mmio.force-legacy=false")
GENERATORS = {
    "microvm": ("-device", "virtio-rng-device", *MODERN_WINDOWS),
    "q35": ("-device", "virtio-rng-pci,disable-legacy=on"),
    "pc": ("-device", "virtio-rng-pci"),
}
CLOCKS = {"microvm": "PIT", "q35": "HPET", "pc,hpet=off": "ACPI timer"}


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("status", (0, 3))
def test_the_machine_ends_with_the_status_of_the_program(program: Path, machine: str, status: int) -> None:
    ended = run(program, "exit", str(status), machine=machine)
    assert (ended.status, ended.text) == (status, "")


def test_a_machine_without_power_management_ends_too(program: Path) -> None:
    assert run(program, "exit", "0", machine="microvm,acpi=off").status == 0


def test_the_program_is_the_same_as_a_linux_process(program: Path) -> None:
    done = subprocess.run([program, "arguments", "a b"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "<arguments>\n<a b>\n")
    assert subprocess.run([program, "exit", "3"]).returncode == 3


def test_arguments_are_the_words_of_the_command_line(program: Path) -> None:
    ended = run(program, "arguments", "'a b'", '  c="d\'e"', "''", "f''g")
    assert ended.text.splitlines() == ["<arguments>", "<a b>", "<c=d'e>", "<>", "<fg>"]


@pytest.mark.parametrize(
    "word, cause",
    [
        ("null-call", "call of NULL at address 0x0"),
        ("null-write", "write through NULL at address 0x8"),
        ("stack", r"stack overflow \(8192 KiB\) at address 0x[0-9a-f]+"),
        ("write-code", "write to code at address 0x[0-9a-f]+"),
        ("write-constant", "write to read-only memory at address 0x[0-9a-f]+"),
        ("run-data", "execution of data at address 0x[0-9a-f]+"),
        ("far-read", "general protection fault"),
        ("unmapped-read", "read of memory that is not there at address 0x[0-9a-f]+"),
        ("divide", "division error"),
        ("deadlock", "deadlock: the only thread waits for another one"),
    ],
)
def test_a_fault_ends_the_machine_and_says_what_it_was(program: Path, word: str, cause: str) -> None:
    ended = run(program, word)
    assert ended.status == PANIC
    assert re.match(rf"\nnetapp: panic: {cause}\n", ended.text), ended.text
    if word != "deadlock":
        assert re.search(r"\n  rip [0-9a-f]{16}  rsp [0-9a-f]{16}", ended.text)
        assert re.search(r"\n  r12 [0-9a-f]{16}  r13 ", ended.text)


def test_an_unknown_system_call_ends_the_machine_by_name(program: Path) -> None:
    ended = run(program, "unknown-call")
    assert ended.status == UNKNOWN_CALL
    assert "\nnetapp: unknown system call: ptrace (number 101)\n  arguments 0x11 0x2a 0x" in ended.text
    ended = run(program, "number-beyond")
    assert ended.status == UNKNOWN_CALL
    assert "unknown system call: ? (number 5000)" in ended.text


@pytest.mark.parametrize("word, status", [("unknown-call", UNKNOWN_CALL), ("abort", ABORTED), ("deadlock", PANIC)])
def test_python_tells_where_it_was_from_within_a_system_call(program: Path, word: str, status: int) -> None:
    ended = run(program, word, "traced")
    assert (ended.status, ended.text.splitlines()[-3:]) == (
        status,
        [f"traced 1 {number}" for number in (0.0, 0.5, 1.0)],
    )


def test_calls_answer_as_linux_s_do(program: Path) -> None:
    ended = run(program, "calls")
    on_linux = subprocess.run([program, "calls"], capture_output=True, text=True, check=True).stdout
    assert (ended.status, ended.text.splitlines()) == (0, on_linux.splitlines())


def test_what_there_is_not_is_refused_as_a_filter_of_cpython_s_tests_does(program: Path) -> None:
    told = run(program, "refused", *map(str, REFUSED)).text.splitlines()
    assert told == [f"{number} {errno.errorcode[error]}" for number, error in REFUSED.items()]


def test_a_call_that_libraries_try_out_fails(program: Path) -> None:
    ended = run(program, "unanswered")
    assert (ended.status, ended.text) == (0, "Function not implemented\n")


def test_abort_has_a_status_of_its_own(program: Path) -> None:
    ended = run(program, "abort")
    assert ended.status == ABORTED
    assert "netapp: ended by signal 6, abort()" in ended.text


def test_memory_ends_with_an_error_that_the_program_sees(program: Path) -> None:
    ended = run(program, "allocate")
    found = re.fullmatch(r"malloc: Cannot allocate memory after (\d+) MiB\n", ended.text)
    assert ended.status == 0 and found
    assert int(found[1]) >= 27  # of 32, with the firmware's megabyte and the stack's


@pytest.mark.parametrize("machine, memory", [("microvm", 32), ("q35", 5000)])
def test_pages_are_moved_zeroed_protected_and_used_again(program: Path, machine: str, memory: int) -> None:
    ended = run(program, "map", machine=machine, memory=memory)
    assert (ended.status, ended.text) == (0, "map: good\n")


def test_memory_holds_what_was_written_whatever_is_done_to_it(program: Path) -> None:
    ended = run(program, "churn", "3000", memory=128)
    found = re.fullmatch(r"3000 rounds\n(\d+) KiB are gone\n", ended.text)
    assert ended.status == 0 and found, ended.text
    assert int(found[1]) <= 256  # page tables


@pytest.mark.parametrize("machine", MACHINES)
def test_without_random_numbers_nothing_starts(program: Path, machine: str) -> None:
    ended = run(program, "random", machine=machine, cpu="qemu64")
    assert ended.status == NO_ENTROPY
    assert ended.text == (
        "netapp: no source of random numbers: give the machine a virtio-rng device, or a processor with RDRAND\n"
    )


@pytest.mark.parametrize("machine", MACHINES)
def test_random_numbers_of_a_device(program: Path, machine: str) -> None:
    ended = [run(program, "random", machine=machine, cpu="qemu64", devices=GENERATORS[machine]) for _ in range(2)]
    assert [one.status for one in ended] == [0, 0]
    assert all(re.fullmatch("[0-9a-f]{64}\n", one.text) for one in ended)
    assert ended[0].text != ended[1].text


def test_random_numbers_of_the_processor(program: Path) -> None:
    assert run(program, "random").text != run(program, "random").text


def test_without_a_clock_nothing_starts(program: Path) -> None:
    ended = run(program, "exit", "0", machine="microvm,pit=off")
    assert ended.status == NO_CLOCK
    assert ended.text.startswith("netapp: no clock that can be trusted: ") and ended.text.count("\n") == 1


@pytest.mark.parametrize("machine", CLOCKS)
def test_the_clock_goes_forward_as_the_machine_s(program: Path, machine: str) -> None:
    ended = run(program, "busy", machine=machine)
    assert ended.status == 0 and "back" not in ended.text, ended.text
    assert ended.seconds > 1  # which the program's second cannot be longer than


@pytest.mark.parametrize("machine", CLOCKS)
def test_a_sleep_lasts_as_long_as_it_should(program: Path, machine: str) -> None:
    ended = run(program, "sleep", machine=machine)
    found = re.fullmatch(r"slept ([0-9.]+)\n", ended.text)
    assert ended.status == 0 and found
    assert float(found[1]) >= 0.3 and ended.seconds > 0.3


def test_sleep_is_no_time_of_the_processor(program: Path) -> None:
    found = re.fullmatch(r"of (\d+) used (\d+), 0\n", run(program, "times").text)
    assert found
    assert int(found[2]) >= 30 and int(found[1]) - int(found[2]) >= 30  # hundredths of a second


@pytest.mark.parametrize("machine", ("microvm", "q35"))
def test_time_of_day_is_the_machine_s(program: Path, machine: str) -> None:
    ended = run(program, "date", machine=machine, devices=("-rtc", "base=2031-05-06T07:08:09"))
    assert 1935817689 <= int(ended.text) < 1935817689 + 60


@pytest.mark.parametrize("machine", ("microvm", "q35"))
def test_who_sleeps_takes_less_than_three_hundredths_of_a_processor(program: Path, machine: str) -> None:
    start = run(program, "idle", "0", machine=machine).processor_seconds
    assert run(program, "idle", "2", machine=machine).processor_seconds - start < 0.03 * 2


def test_the_kernel_touches_no_vector_register_and_calls_nobody(program: Path) -> None:
    """What it needs of the C library, it has: an object that asks for memcpy() would get one with vector registers."""
    wanted: set[str] = set()
    had: set[str] = set()
    for path in program.parent.glob("*.o"):
        for line in subprocess.run(["nm", path], capture_output=True, text=True, check=True).stdout.splitlines():
            kind, name = line.split()[-2:]
            (wanted if kind == "U" else had).add(name)
    of_the_linker = {"__ehdr_start", "__executable_start", "__etext", "_end", "_start"}
    of_the_linker |= {f"kernel_{part}_{end}" for part in ("data", "bss") for end in ("start", "end")}
    assert wanted - had == of_the_linker
