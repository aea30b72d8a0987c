"""What goes into an image: read off the text of modules."""

from pathlib import Path

import pytest

from netapp.native.image.closure import Closure, Kind
from netapp.native.image.imports import Import, cimports_of, imports_of
from netapp.native.image.toolchain import BuildError, Toolchain, find_toolchain


@pytest.fixture(scope="module")
def toolchain() -> Toolchain:
    return find_toolchain()


def imported(text: str, later: bool = True) -> dict[str, bool]:
    found = list(imports_of(text, "a.b.c", False, later))
    return {f"{one.module}.{one.name}".rstrip("."): one.sure for one in found}


def test_imports_at_every_depth() -> None:
    text = "import x.y\nfrom . import z\nfrom ..q import r\nclass C:\n    import s\n"
    text += "with a:\n    import t\nfor i in j:\n    import u\n"
    assert imported(text) == {"x.y": True, "a.b.z": True, "a.q.r": True, "s": True, "t": True, "u": True}


def test_what_does_not_run_is_not_imported() -> None:
    text = (
        "if TYPE_CHECKING:\n    import a1\nif typing.TYPE_CHECKING:\n    import a2\n"
        "if __name__ == '__main__':\n    import a3\nif sys.platform == 'win32':\n    import a4\nelse:\n    import b1\n"
        "if os.name != 'nt' and sys.version_info >= (3, 8):\n    import b2\n"
        "if depends:\n    import b3\nelse:\n    import b4\n"
    )
    assert imported(text) == {"b1": True, "b2": True, "b3": False, "b4": False}


def test_functions_import_later_or_not_at_all() -> None:
    text = "def f():\n    import x\n    def g():\n        import y\n"
    assert imported(text) == {"x": False, "y": False}
    assert imported(text, later=False) == {}


def test_cimports() -> None:
    text = (
        "from libc.stdint cimport uint8_t, uint16_t  # both\nfrom a.b cimport (\n    C,\n    D as E,\n)\ncimport x.y\n"
    )
    found = {f"{one.module}.{one.name}".rstrip(".") for one in cimports_of(text)}
    assert found == {"libc.stdint.uint8_t", "libc.stdint.uint16_t", "a.b.C", "a.b.D", "x.y"}
    assert not any(one.sure for one in cimports_of(text))
    assert list(cimports_of("from a cimport b")) == [Import("a", "b", False)]


def test_memcached_needs_no_more_than_it_imports(toolchain: Toolchain) -> None:
    closure = Closure(toolchain, baked=("_netapp_image",))
    closure.add(["netapp.native.main", "appliances.memcached"])
    compiled = {module.name for module in closure.of(Kind.COMPILED)}
    plain = {module.name for module in closure.of(Kind.PLAIN)}
    assert {"netapp.tcp.segment_arrives", "appliances.memcached.session", "netapp.drivers.tap"} <= compiled
    assert {"netapp.node.node", "appliances.memcached.stats", "logging", "encodings.utf_8"} <= plain
    for unwanted in (
        "click",
        "pyroute2",
        "asyncio",
        "socket",
        "cython",
        "unittest",
        "netapp.cli",
        "bench",
        "importlib._bootstrap",
    ):
        assert not any((name + ".").startswith(unwanted + ".") for name in compiled | plain), unwanted
    assert set(closure.data()) == {"appliances/memcached/extended.txt", "appliances/memcached/stats.txt"}


@pytest.mark.parametrize(
    "text, told",
    [
        ("import ssl", "ssl imports _ssl, which an image cannot have: it is a shared library"),
        ("import lz4", "lz4 imports lz4._version, which an image cannot have: it is a shared library"),
        ("import not_there", "mine imports not_there, which an image cannot have: there is no such module"),
    ],
)
def test_what_an_image_cannot_have(toolchain: Toolchain, tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(BuildError) as raised:
        Closure(toolchain, {"mine": file}).add(["mine"])
    assert str(raised.value) == told


def test_what_the_standard_library_can_do_without(toolchain: Toolchain, tmp_path: Path) -> None:
    """asyncio imports ssl where that is to be had; an appliance that does so means it."""
    file = tmp_path / "mine.py"
    file.write_text("import asyncio")
    closure = Closure(toolchain, {"mine": file})
    closure.add(["mine"])
    assert "asyncio.events" in closure.modules and "ssl" not in closure.modules
    file.write_text("def f():\n    import ssl\n")
    with pytest.raises(BuildError, match="ssl imports _ssl"):
        Closure(toolchain, {"mine": file}).add(["mine"])


def test_what_may_be_missing(toolchain: Toolchain, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    tried = "try:\n    import {}\nexcept ImportError:\n    import {}\n"
    file.write_text(tried.format("_json", "bisect") + tried.format("heapq", "html"))
    closure = Closure(toolchain, {"mine": file})
    closure.add(["mine"])
    assert {"bisect", "heapq"} <= set(closure.modules) and "html" not in closure.modules
