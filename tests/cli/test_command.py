"""The command line: what it lists, how it refuses. Errors are one line on stderr, status 1 or 2."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from netapp.cli.find import NotFound, find_appliance, from_sources
from netapp.cli.main import main


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    logger = logging.getLogger("netapp")
    handlers, level = logger.handlers, logger.level
    yield
    logger.handlers = handlers
    logger.setLevel(level)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(arguments)
    found = capsys.readouterr()
    return status, found.out, found.err


def test_list_has_a_line_for_each_appliance(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "list")
    assert (status, err) == (0, "")
    lines = [line.split(maxsplit=1) for line in out.splitlines()]
    assert ["echo", "Echo every byte (RFC 862)."] in lines
    assert [name for name, _ in lines] == sorted(name for name, _ in lines)
    assert "memcached" in dict(lines)


def test_the_appliance_s_own_help(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "run", "memcached", "--", "-h")
    assert (status, err) == (0, "")
    for flag in ("-p, --port", "-m, --memory-limit", "-c, --conn-limit", "-R, --max-reqs-per-event", "-I, --max-item"):
        assert flag in out
    assert "11211" in out


def test_help_of_run_has_the_options_of_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "run", "--help")
    assert status == 0
    flags = "tap address host-address gateway route vlan detect-conflicts capture"
    for flag in f"{flags} drop duplicate reorder corrupt delay seed io breakdown uncompiled".split():
        assert f"--{flag} " in out
    assert "[default: netapp0]" in " ".join(out.split())
    assert "[auto|rw|uring]" in out


@pytest.mark.parametrize(
    "arguments, part",
    [
        (["run"], "NAME"),
        (["walk"], "walk"),
        (["run", "memcached", "--", "-x"], "-x"),
        (["run", "memcached", "--", "-m", "0"], "-m"),
        (["run", "memcached", "--", "-I", "5"], "item size"),
        (["run", "memcached", "--", "stray"], "stray"),
        (["run", "nonesuch"], "nonesuch"),
        (["run", "nonesuch.module:Class"], "nonesuch"),
        (["run", "json"], "json has 0 appliances"),
        (["run", "appliances.echo:EchoSession"], "EchoSession"),
        (["run", "no/such/file.py"], "no/such/file.py"),
        (["run", "..x"], "..x"),
        (["run", "echo", "--io", "fast"], "fast"),
        (["run", "echo", "--breakdown", "chart"], "chart"),
        (["run", "echo", "--drop", "2"], "probability"),
        (["run", "echo", "--delay", "soon"], "soon"),
        (["run", "echo", "--address", "10.99.0.2"], "10.99.0.2/24"),
        (["run", "echo", "--address", "fe80::1/64"], "IPv4"),
        (["run", "echo", "--address", "10.99.0.2/24", "--address", "10.98.0.2"], "10.98.0.2/24"),
        (["run", "echo", "--address", "10.99.0.2/24", "--address", "10.99.0.2/16"], "given twice"),
        (["run", "echo", "--gateway", "10.98.0.1"], "not another host"),
        (["run", "echo", "--gateway", "router"], "'router' is no address"),
        (["run", "echo", "--route", "192.0.2.0/24"], "NETWORK=GATEWAY"),
        (["run", "echo", "--route", "192.0.2.0/24=10.98.0.1"], "no route to 192.0.2.0/24 via 10.98.0.1: the gate"),
        (["run", "echo", "--route", "192.0.2.1/24=10.99.0.1"], "host bits"),
        (["run", "echo", "--route", "192.0.2.1=10.99.0.1"], "192.0.2.1/32"),
        (["run", "echo", "--route", "x/24=10.99.0.1"], "x/24 is no network"),
        (["run", "echo", "--route", "::/0=10.99.0.1"], "IPv4"),
        (["run", "echo", *("--route", "default=10.99.0.1") * 2], "there already"),
        (["run", "echo", "--vlan", "0"], "--vlan"),
        (["run", "echo", "--vlan", "4095"], "--vlan"),
        (["run", "echo", "--host-address", "10.98.0.1/24"], "one network"),
        (["run", "echo", "--host-address", "10.99.0.2/24"], "one network"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], part: str
) -> None:
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith("netapp: ") and err.count("\n") == 1 and part in err


def test_no_command_prints_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys)
    assert status == 2 and "Commands:" in err


def test_a_failure_is_one_line_and_status_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("1 / 0\n")
    status, out, err = run(capsys, "run", str(tmp_path / "broken.py"))
    assert (status, out) == (1, "")
    assert err == "netapp: division by zero\n"


MINE = '''
from netapp.node.appliance import Appliance

class One(Appliance):
    """The first.

    More about it."""

class Two(One):
    """The second."""
'''


def test_appliances_in_files_and_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine_for_a_test.py"
    path.write_text(MINE)
    assert find_appliance(f"{path}:One").description() == "The first."
    with pytest.raises(NotFound, match=r"has 2 appliances: say .*:One or .*:Two"):
        find_appliance(str(path))
    del sys.modules["mine_for_a_test"]
    monkeypatch.setattr(sys, "path", [path_ for path_ in sys.path if path_])
    monkeypatch.chdir(tmp_path)
    assert find_appliance("mine_for_a_test:Two").description() == "The second."
    assert find_appliance("appliances.echo").__name__ == "Echo"


def test_sources_beside_compiled_modules() -> None:
    compiled = find_appliance("memcached")
    with from_sources("appliances"):
        uncompiled = find_appliance("memcached")
        modules = {name for name in sys.modules if name.startswith("appliances.")}
    assert find_appliance("memcached") is compiled is not uncompiled
    session = sys.modules["appliances.memcached.session"]
    assert session.__file__ is not None and session.__file__.endswith(".so")
    assert "appliances.memcached.store" in modules
    assert uncompiled.start.__globals__["Session"].work.__code__.co_filename.endswith("session.py")


def test_netapp_itself_runs_compiled_only(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "run", "--uncompiled", "netapp.node.appliance:Appliance")
    assert status == 2 and "compiled only" in err
