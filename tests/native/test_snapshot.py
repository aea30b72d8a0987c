"""Machines that go on from a snapshot: what is as it was, and what is the machine's own."""

import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from netapp.hosted.qemu import QEMU
from netapp.native.image import snapshot
from netapp.native.image.link import FLAGS
from netapp.native.image.snapshot import add_snapshot, check_snapshot_tools
from netapp.native.image.toolchain import BuildError
from tests.support.guests import run

pytestmark = pytest.mark.system

PANIC, UNKNOWN_CALL = 70, 71


@pytest.fixture(scope="module")
def frozen(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """program.c, which keeps what kept.c says."""
    image = tmp_path_factory.mktemp("frozen") / "program"
    shutil.copy(program, image)
    assert add_snapshot(image) == image.stat().st_size - (program.stat().st_size + 4095) // 4096 * 4096
    return image


@pytest.mark.parametrize("machine, memory", [("microvm", 32), ("q35", 40), ("pc", 256), ("q35", 5000)])
def test_what_the_program_had_is_as_it_was(frozen: Path, machine: str, memory: int) -> None:
    ended = run(frozen, "kept", machine=machine, memory=memory)
    assert (ended.status, ended.text) == (0, "kept: good\n")


def test_its_command_line_is_the_machine_s(frozen: Path) -> None:
    assert run(frozen, "arguments", "'a b'", "c").text == "<arguments>\n<a b>\n<c>\n"
    asks = "netapp.snapshot=" + 32 * "x"  # a word like any other: this machine is not there to make one
    assert run(frozen, asks, "kept").text == "kept: good\n"
    assert run(frozen, asks, "random").text != run(frozen, asks, "random").text
    assert run(frozen, "exit", "3").status == 3


@pytest.mark.parametrize(
    "word, status, cause",
    [
        ("null-call", PANIC, "call of NULL at address 0x0"),
        ("stack", PANIC, r"stack overflow \(8192 KiB\) at address 0x[0-9a-f]+"),
        ("write-code", PANIC, "write to code at address 0x[0-9a-f]+"),
        ("write-constant", PANIC, "write to read-only memory at address 0x[0-9a-f]+"),
        ("run-data", PANIC, "execution of data at address 0x[0-9a-f]+"),
        ("unknown-call", UNKNOWN_CALL, r"unknown system call: ptrace \(number 101\)"),
    ],
)
def test_it_ends_as_any_other(frozen: Path, word: str, status: int, cause: str) -> None:
    ended = run(frozen, word)
    assert ended.status == status and re.match(rf"\nnetapp: (panic: )?{cause}\n", ended.text), ended.text


def test_memory_and_time_go_on_as_in_any_other(frozen: Path) -> None:
    assert run(frozen, "map").text == "map: good\n"
    assert re.fullmatch(r"2000 rounds\n\d+ KiB are gone\n", run(frozen, "churn", "2000", memory=128).text)
    assert float(run(frozen, "sleep").text.removeprefix("slept ")) >= 0.3
    assert int(run(frozen, "date", devices=("-rtc", "base=2031-05-06T07:08:09")).text) >= 1935817689


@pytest.mark.parametrize("word", ["random", "canary"])
def test_no_two_machines_have_the_same_secrets(frozen: Path, word: str) -> None:
    told = {run(frozen, word).text for _ in range(3)}
    assert len(told) == 3 and all(re.fullmatch("[0-9a-f]+\n", text) for text in told)
    assert word != "canary" or all(text.endswith("00\n") for text in told)  # no string goes beyond it


def test_one_without_entropy_does_not_go_on(frozen: Path) -> None:
    assert run(frozen, "random", cpu="qemu64").status == 73


def test_a_linux_process_starts_from_the_beginning(frozen: Path) -> None:
    done = subprocess.run([frozen, "kept"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "kept: nothing\n")


def test_a_machine_that_has_no_memory_for_it_says_so(frozen: Path) -> None:
    ended = run(frozen, "kept", memory=8)
    assert ended.status == 72
    assert ended.text.startswith("netapp: too little memory: the program alone, when it has started, ends at ")


def test_one_that_was_damaged_is_not_used(frozen: Path, tmp_path: Path) -> None:
    content = bytearray(frozen.read_bytes())
    place = content.rindex(b"netapp snapshot\0")
    (size,) = struct.unpack_from("<Q", content, place + 16)
    content[place + size + 1000] ^= 1
    image = tmp_path / "damaged"
    image.write_bytes(content)
    ended = run(image, "kept")
    assert (ended.status, ended.text) == (0, "kept: nothing\n")


def test_two_are_the_same(program: Path, frozen: Path, tmp_path: Path) -> None:
    image = tmp_path / "again"
    shutil.copy(program, image)
    add_snapshot(image)
    assert image.read_bytes() == frozen.read_bytes()


@pytest.mark.parametrize(
    "does, told",
    [
        ("return *(volatile char *)0;", "the image does not start: panic: read through NULL at address 0x0"),
        ('puts("Traceback:\\nImportError: x");', "the image does not start: ImportError: x"),
        (
            'puts("MemoryError");',
            "the image does not start: modules keep too much in memory when they are imported: have start() make it",
        ),
        ("exit(3);", "the image does not start: it ended with status 3, and says nothing"),
        (
            "sleep(1000000);",
            "the image does not start: it ended with status 0, and says nothing",
        ),  # and its clock is not ours
        ("for (;;);", "the image does not start within 1 s: a module waits for something"),
    ],
)
def test_a_program_that_does_not_get_there(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, told: str
) -> None:
    source, image = tmp_path / "program.c", tmp_path / "program"
    source.write_text(
        f"#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\nint main(void) {{ {does} return 0; }}\n"
    )
    subprocess.run(["gcc", *FLAGS, source, *program.parent.glob("kernel.*.o"), "-o", image], check=True)
    if "within" in told:
        monkeypatch.setattr(snapshot, "_PATIENCE", 1.0)
    before = image.read_bytes()
    with pytest.raises(BuildError) as raised:
        add_snapshot(image)
    assert str(raised.value) == told
    assert image.read_bytes() == before and set(tmp_path.iterdir()) == {source, image}


def test_no_qemu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match=f"cannot be built without {QEMU}: apt install qemu-system-x86"):
        check_snapshot_tools()
