"""`netapp build`: what it makes, twice the same, and what it says where something is missing."""

import hashlib
import os
import resource
import subprocess
from pathlib import Path

import pytest

from netapp.cli.find import find_appliance
from netapp.cli.main import main
from netapp.compiling import locked
from netapp.native.image import build as building
from netapp.native.image import iso, toolchain
from netapp.native.image.build import LIMIT, Image, Wanted, build
from netapp.native.image.frozen import initializer
from netapp.native.image.objects import Source, compiled
from netapp.native.image.places import check_output, put, scratch
from netapp.native.image.toolchain import BuildError, find_toolchain


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.system
def test_one_static_file_below_the_limit(image: Image) -> None:
    assert image.size == image.path.stat().st_size < LIMIT
    head = image.path.read_bytes()[:64]
    assert head[:5] == b"\x7fELF\x02" and head[16:20] == b"\x02\x00\x3e\x00"  # ET_EXEC, x86-64
    assert head[40:48] == bytes(8) and head[60:64] == bytes(4)  # GRUB wants no section table
    notes = subprocess.run(["readelf", "-lW", image.path], capture_output=True, text=True, check=True).stdout
    assert "INTERP" not in notes and "RWE" not in notes


@pytest.mark.system
def test_the_same_twice(image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it goes, whoever builds, whatever the hash seed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONHASHSEED", "77")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("HOME", str(tmp_path))
    made = build(Wanted(find_appliance("memcached"), ("--address=10.99.0.3/24", "--", "-m", "32")), tmp_path / "other")
    assert digest(made.path) == digest(image.path)
    assert sum(made.parts.values()) == pytest.approx(made.size, rel=0.02)
    assert {"Python", "compiled modules", "frozen modules", "kernel", "C library"} <= set(made.parts)


@pytest.mark.system
def test_objects_are_the_same_wherever_they_are_made(image: Image, tmp_path: Path) -> None:
    tools = find_toolchain()
    source = tmp_path / "one.c"
    source.write_text("#include <assert.h>\nvoid f(int x) { assert(x); }\n")
    (tmp_path / "a").mkdir()
    flags = ("-O2", f"-ffile-prefix-map={tmp_path}=.")
    (one,) = compiled(tools, [Source("one", source, flags)], tmp_path / "a")
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (moved / "one.c").write_text(source.read_text())
    (other,) = compiled(tools, [Source("one", moved / "one.c", ("-O2", f"-ffile-prefix-map={moved}=."))], moved)
    assert one.read_bytes() == other.read_bytes()


def test_an_object_is_made_again_when_what_it_is_made_of_changes(tmp_path: Path) -> None:
    tools = find_toolchain()
    source, header = tmp_path / "one.c", tmp_path / "one.h"
    source.write_text('#include "one.h"\nint x = X;\n')
    header.write_text("#define X 1\n")
    wanted = [Source("one", source, ("-O0",), (header,))]
    (first,) = compiled(tools, wanted, tmp_path / "o")
    assert compiled(tools, wanted, tmp_path / "o") == [first]
    written = first.stat().st_mtime_ns
    header.write_text("#define X 2\n")
    (second,) = compiled(tools, wanted, tmp_path / "o")
    assert second != first and not first.exists() and second.stat().st_mtime_ns >= written
    source.write_text("int x = ;\n")
    with pytest.raises(BuildError, match=r"one\.c does not compile: .*error: expected expression"):
        compiled(tools, wanted, tmp_path / "o")


def test_a_cache_of_its_own_has_room_for_both_locks(tmp_path: Path) -> None:
    """Of an installed package: Cython's C lies there, too."""
    with building._alone(tmp_path):
        for lock in locked(tmp_path / "lock", ["a.b"]):
            lock.close()


def test_what_a_build_that_was_killed_has_left_goes(tmp_path: Path) -> None:
    (tmp_path / "scratch-old").mkdir()
    (tmp_path / "scratch-old" / "image.elf").write_text("half")
    with scratch(tmp_path) as one, scratch(tmp_path) as other:
        assert set(tmp_path.glob("scratch-*")) == {one, other}
    assert os.listdir(tmp_path) == ["scratch.lock"]
    source, half = tmp_path / "one.c", tmp_path / "o" / "one.0123456789abcdef.4242"
    source.write_text("int x;\n")
    half.parent.mkdir()
    half.write_text("half")
    compiled(find_toolchain(), [Source("one", source, ("-O0",))], half.parent)
    assert not half.exists()


def test_a_file_that_was_there_is_replaced_wholly_or_not_at_all(tmp_path: Path) -> None:
    made, output = tmp_path / "made", tmp_path / "output"
    made.write_bytes(bytes(10_000))
    output.write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with output.open() as old:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, before[1]))
        try:
            with pytest.raises(BuildError, match=r"output cannot be written: File too large$"):
                put(made, output)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert output.read_text() == "old"
        put(made, output)
        assert old.read() == "old"  # who has it open has the old one
    assert output.read_bytes() == bytes(10_000) and os.access(output, os.X_OK)
    assert set(tmp_path.iterdir()) == {made, output}


def test_a_device_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BuildError, match="pipe cannot be written: it is no file, but a device or the like"):
        check_output(tmp_path / "pipe")


def test_initializers_differ() -> None:
    names = ["a.b_c", "a_b.c", "a.b.c", "a_b_c", "a.manager", "b.manager"]
    assert len({initializer(name) for name in names}) == len(names)


def test_what_is_missing_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(toolchain, "_CONFIGS", ("no-python-config",))
    with pytest.raises(BuildError) as raised:
        find_toolchain()
    assert str(raised.value) == "an image cannot be built without python3.11-dev: apt install python3.11-dev"
    monkeypatch.setattr(toolchain, "_PACKAGES", ("Cython==0.1",))
    with pytest.raises(BuildError) as raised:
        find_toolchain("no-gcc")
    assert str(raised.value) == (
        "an image cannot be built without gcc, libc6-dev, liburing-dev, python3.11-dev, Cython==0.1:"
        " apt install gcc libc6-dev liburing-dev python3.11-dev && pip install Cython==0.1"
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        BuildError, match=r"without grub-common, xorriso, mtools: apt install grub-common xorriso mtools"
    ):
        monkeypatch.setattr(iso, "_GRUB", Path("/usr/lib/grub/i386-pc"))
        iso.check_iso_tools()


@pytest.mark.system
def test_too_large_is_refused_with_the_parts(image: Image, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(building, "LIMIT", 1_000_000)
    with pytest.raises(BuildError, match=r"the image would have \d+\.\d MB, more than 1 \(.*Python \d"):
        build(Wanted(find_appliance("memcached")), tmp_path / "large.elf")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    "arguments, status, told",
    [
        (["memcached"], 2, "Missing option '-o' / '--output'"),
        (["nothing", "-o", "x"], 2, "no appliance or module is called nothing"),
        (["memcached", "-o", "/nowhere/x"], 1, "/nowhere/x cannot be written"),
        (["memcached", "-o", "/tmp"], 1, "/tmp cannot be written"),
        (["memcached", "-o", "x", "--address", "10.1.0.2"], 2, "10.1.0.2"),
        (["memcached", "-o", "x", "--format", "qcow2"], 2, "'qcow2' is not one of 'elf', 'iso'"),
        (["memcached", "-o", "x", "--", "-m", "0"], 2, "0 is not in the range"),
        (["raises.py", "-o", "x"], 1, "no luck today"),
        (["exits.py", "-o", "x"], 1, "exits.py ends the program when it is imported: exit(3)"),
    ],
)
def test_errors_are_one_line(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    status: int,
    told: str,
) -> None:
    (tmp_path / "raises.py").write_text("raise ValueError('no luck\\ntoday')\n")
    (tmp_path / "exits.py").write_text("raise SystemExit(3)\n")
    before = set(os.listdir(tmp_path)) | {"__pycache__"}
    monkeypatch.chdir(tmp_path)
    assert main(["build", *arguments]) == status
    err = capsys.readouterr().err
    assert err.startswith("netapp: ") and err.count("\n") == 1 and told in err
    assert set(os.listdir(tmp_path)) <= before
