"""`netapp boot`: what QEMU is told, and how what becomes of it is told."""

import os
import signal
import struct
import sys
from pathlib import Path

import pytest

from netapp.cli.main import main
from netapp.hosted import qemu
from netapp.hosted.qemu import EMULATED, Machine, MachineError, accelerator, quoted, status_of

INTEL = "processor\t: 0\nmodel name\t: Xeon\nflags\t\t: fpu vme de msr vmx ssse3 hypervisor\nbugs\t\t: spectre\n"
AMD = "processor\t: 0\nflags\t\t: fpu svm lm\n"
NEITHER = "processor\t: 0\nmodel name\t: vmx svm\nflags\t\t: fpu vmxnet svm_lock\nvmx flags\t: vnmi\n"
# A header, one segment's, which is a note, and that: it is booted by PVH.
ELF = b"\x7fELF\x02".ljust(32, b"\0") + struct.pack("<Q14xHH4x", 64, 56, 1)
ELF = ELF.ljust(64, b"\0") + struct.pack("<I4xQ16xQ16x", 4, 120, 20) + struct.pack("<III4sI", 4, 4, 18, b"Xen", 1 << 20)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.elf"
    path.write_bytes(ELF)
    return path


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "image.iso"
    path.write_bytes(bytes(32769) + b"CD001")
    return path


def after(command: list[str], *flags: str) -> list[str]:
    """What follows each flag."""
    return [command[place + 1] for place, word in enumerate(command) if word in flags]


@pytest.mark.parametrize(
    "cpuinfo, usable, wanted",
    [(INTEL, True, "kvm"), (AMD, True, "kvm"), (INTEL, False, "tcg"), (NEITHER, True, "tcg"), ("", True, "tcg")],
)
def test_kvm_only_where_the_processor_has_it(cpuinfo: str, usable: bool, wanted: str) -> None:
    assert accelerator(cpuinfo, lambda: usable) == wanted


def test_a_kvm_without_the_processor_s_is_not_even_looked_at() -> None:
    def looked() -> bool:
        raise AssertionError("/dev/kvm was looked at")

    assert accelerator(NEITHER, looked) == "tcg"


def test_a_microvm(image: Path) -> None:
    command = Machine(image, None, 64).command(7, "02:00:00:00:00:01")
    assert command[0] == "qemu-system-x86_64"
    assert after(command, "-M", "-accel", "-cpu", "-m") == ["microvm", "tcg", EMULATED, "64M"]
    assert after(command, "-kernel", "-serial", "-display") == ["none", str(image), "stdio"]
    assert after(command, "-netdev") == ["tap,id=wire,fd=7"]
    devices = after(command, "-device")
    assert devices[0] == "virtio-net-device,netdev=wire,mac=02:00:00:00:00:01"
    assert "virtio-rng-device" in devices and "isa-debug-exit,iobase=0xf4,iosize=4" in devices
    assert after(command, "-global") == ["virtio-mmio.force-legacy=false"]
    assert "-append" not in command and "-cdrom" not in command


@pytest.mark.parametrize("kind", ("q35", "pc"))
def test_machines_with_pci(image: Path, kind: str) -> None:
    command = Machine(image, kind, 256, ("-v", "--", "-m", "8"), "kvm").command(9, "02:00:00:00:00:02")
    assert after(command, "-M", "-accel", "-cpu", "-append") == [kind, "kvm", "host", "-v -- -m 8"]
    devices = after(command, "-device")
    assert devices[:2] == ["virtio-net-pci,netdev=wire,mac=02:00:00:00:00:02", "virtio-rng-pci"]


def test_a_disk_boots_on_q35(disk: Path) -> None:
    command = Machine(disk, None, 64).command(7, "02:00:00:00:00:01")
    assert after(command, "-M", "-cdrom") == ["q35", str(disk)] and "-kernel" not in command
    with pytest.raises(MachineError, match="a microvm cannot boot: choose --machine q35 or pc"):
        Machine(disk, "microvm", 64)
    with pytest.raises(MachineError, match="options baked in"):
        Machine(disk, None, 64, ("-v",))


def test_half_of_a_file_is_not_booted(image: Path, disk: Path) -> None:
    image.write_bytes(ELF[:-1])
    with pytest.raises(MachineError, match=r"image\.elf is cut off after 139 of 140 bytes: build or copy it again"):
        Machine(image, None, 64)
    disk.write_bytes(disk.read_bytes().ljust(32768 + 80, b"\0") + (17).to_bytes(4, "little"))
    with pytest.raises(MachineError, match=r"image\.iso is cut off after 32852 of 34816 bytes"):
        Machine(disk, None, 64)


@pytest.mark.parametrize("content", [ELF.replace(b"Xen", b"Xon"), ELF[:40], ELF[:5] + bytes(range(250)) * 20])
def test_programs_that_are_no_images(image: Path, content: bytes) -> None:
    image.write_bytes(content)
    with pytest.raises(MachineError, match=r"image\.elf is no boot image: make one with netapp build"):
        Machine(image, None, 64)


def test_words_are_quoted_as_the_kernel_divides_them(image: Path) -> None:
    assert [quoted(word) for word in ("a", "a b", "", "it's", 'say "x"')] == [
        "a",
        "'a b'",
        "''",
        '"it\'s"',
        "'say \"x\"'",
    ]
    with pytest.raises(MachineError, match="cannot stand on a kernel command line"):
        Machine(image, None, 64, ("""both ' and ".""",))


def test_statuses() -> None:
    assert [status_of(ended, "") for ended in (0, 3, 5, 141, 151)] == [0, 1, 2, 70, 75]
    with pytest.raises(MachineError, match=r"^QEMU failed: no such device$"):
        status_of(1, "qemu-system-x86_64: warning\nqemu-system-x86_64: no such device\n")
    with pytest.raises(MachineError, match="QEMU was ended by SIGKILL"):
        status_of(-signal.SIGKILL, "")


@pytest.mark.parametrize(
    "words, status, told",
    [
        (["boot"], 2, "Missing argument 'IMAGE'"),
        (["boot", "nothing.elf"], 2, "'nothing.elf' does not exist"),
        (["boot", "text"], 1, "text is no boot image: make one with netapp build"),
        (["boot", "image.elf", "--machine", "vax"], 2, "'vax' is not one of"),
        (["boot", "image.elf", "--memory", "1"], 2, "1 is not in the range"),
        (["boot", "image.elf", "--address", "10.1.0.2"], 2, "10.1.0.2"),
        (["boot", "image.elf", "--address", "10.1.0.2/24"], 2, "are not two addresses of one network"),
    ],
)
def test_errors_are_one_line(
    capsys: pytest.CaptureFixture[str],
    image: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    status: int,
    told: str,
) -> None:
    monkeypatch.chdir(image.parent)
    Path("text").write_text("none")
    assert main(words) == status
    err = capsys.readouterr().err
    assert err.startswith("netapp: ") and err.count("\n") == 1 and told in err


def test_no_qemu(image: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(MachineError, match="qemu-system-x86_64 is not installed: apt install qemu-system-x86"):
        qemu.boot(Machine(image, None, 64), 0, "02:00:00:00:00:01")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers


def fake(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In QEMU's place."""
    program = folder / "qemu-system-x86_64"
    program.write_text(f"#!/bin/bash\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_signals_are_keys_of_the_console(image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of them, as the guest gets them."""
    typed = tmp_path / "typed"
    script = tmp_path / "guest.py"
    script.write_text(
        "import os, signal, sys\n"
        "os.set_blocking(0, True)\n"
        "with open(sys.argv[1], 'wb', 0) as typed:\n"
        "    for number in (signal.SIGINT, signal.SIGTERM):\n"
        "        os.kill(os.getppid(), number)\n"
        "        typed.write(os.read(0, 1))\n"
        "sys.exit(5)\n"
    )
    fake(tmp_path, f"exec {sys.executable} -S {script} {typed}", monkeypatch)
    assert qemu.boot(Machine(image, None, 64), 0, "02:00:00:00:00:01") == 2
    assert typed.read_bytes() == b"\x03\x03"


def test_one_that_does_not_listen_is_stopped(image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu, "_PATIENCE", 0.1)
    fake(tmp_path, "kill -INT $PPID; exec sleep 100", monkeypatch)
    with pytest.raises(MachineError, match="the machine did not end within"):
        qemu.boot(Machine(image, None, 64), 0, "02:00:00:00:00:01")


def test_what_qemu_says_is_told(image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path, "echo 'qemu-system-x86_64: out of luck' >&2; exit 1", monkeypatch)
    with pytest.raises(MachineError, match=r"^QEMU failed: out of luck$"):
        qemu.boot(Machine(image, None, 64), 0, "02:00:00:00:00:01")
