"""How an appliance's mistakes end the bare machine, and what no two machines of its image have in common."""

import time
from pathlib import Path

import dpkt
import pytest

from netapp.cli.find import find_appliance
from netapp.native.image.build import Image, Wanted, build
from tests.support.guests import Ended, run

pytestmark = pytest.mark.system

PANIC, UNKNOWN_CALL, ABORTED = 70, 71, 75
APPLIANCE = Path(__file__).with_name("crash.py")
CARD = ("-netdev", "user,id=n,restrict=on", "-device", "virtio-net-device,netdev=n")
MODERN = ("-global", "virtio-mmio.force-legacy=false")


@pytest.fixture(scope="module")
def crash(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """After `image`, most of which it is made of."""
    path = tmp_path_factory.mktemp("crash") / "crash.elf"
    return build(Wanted(find_appliance(str(APPLIANCE)), file=APPLIANCE), path).path


def crashed(image: Path, way: str) -> Ended:
    return run(image, "--", "--way", way, memory=192, devices=(*CARD, *MODERN))


@pytest.mark.parametrize(
    "way, status, cause",
    [
        ("null", PANIC, "netapp: panic: read through NULL at address 0x0\n"),
        ("stack", PANIC, "netapp: panic: stack overflow (8192 KiB) at address 0x"),
        ("abort", ABORTED, "netapp: ended by signal 6, abort()\n"),
        ("call", UNKNOWN_CALL, "netapp: unknown system call: setsid (number 112)\n"),
    ],
)
def test_the_cause_and_where_python_was(crash: Path, way: str, status: int, cause: str) -> None:
    ended = crashed(crash, way)
    assert ended.status == status, ended.text
    assert ended.text.startswith("\n" + cause), ended.text
    where = ended.text.partition("Stack (most recent call first):\n")[2].splitlines()
    source = APPLIANCE.read_text().splitlines()
    for line, function, text in zip(where, ("take", "start"), ("way()", "self.take(WAYS[self.options.way])")):
        number = 1 + source.index(" " * 8 + text)
        assert line.endswith(f'crash.py", line {number} in {function}')
    assert where[-1].endswith(" in main")


def test_memory_that_ends_is_an_error_of_python(crash: Path) -> None:
    ended = crashed(crash, "fill")
    assert (ended.status, ended.text) == (1, "netapp: too little memory\n")


def test_recursion_ends_before_the_stack_does(crash: Path) -> None:
    ended = crashed(crash, "recurse")
    assert ended.status == 0 and ended.text.startswith("too deep\ntoo deep\n"), ended.text


def test_what_the_machine_has_not_is_an_error_of_python(crash: Path) -> None:
    ended = crashed(crash, "without")
    assert ended.status == 0
    assert ended.text.splitlines()[:4] == [
        "can't start new thread",
        "[Errno 2] No such file or directory: '/etc/passwd'",
        "[Errno 30] Read-only file system: '/new'",
        "[Errno 38] Function not implemented",
    ]


def test_no_two_machines_have_the_same_secrets(crash: Path, tmp_path: Path) -> None:
    """What they have in common is from before, when the module was imported."""
    told, sent = [], []
    for number in range(3):
        dump = tmp_path / f"{number}.pcap"
        wire = (
            "-netdev",
            "user,id=n,restrict=on,net=10.99.0.0/24,guestfwd=tcp:10.99.0.100:7-cmd:cat",
            *CARD[2:],
            *MODERN,
        )
        seen = ("-object", f"filter-dump,id=f,netdev=n,file={dump}")
        before = time.time()
        ended = run(crash, "-v", "--", "--way", "tell", machine="microvm,rtc=on", memory=64, devices=(*wire, *seen))
        random, system, now, imported, words_then, words = next(
            line for line in ended.text.splitlines() if line.endswith("'tell']")
        ).split(maxsplit=5)
        assert ended.status == 0 and words == "['netapp', '-v', '--', '--way', 'tell']"
        assert before - 60 < float(now) < time.time() + 60 and float(imported) < 1  # 1970
        assert words_then == "1"
        told.append((random, system))
        with dump.open("rb") as file:
            frames = [dpkt.ethernet.Ethernet(frame) for _, frame in dpkt.pcap.Reader(file)]
        first = next(frame.data.data for frame in frames if isinstance(frame.data.data, dpkt.tcp.TCP))
        assert first.flags == dpkt.tcp.TH_SYN
        sent.append((first.sport, first.seq))
    for drawn in (*zip(*told), *zip(*sent)):
        assert len(set(drawn)) == 3, drawn


def test_its_status_is_that_of_the_machine(crash: Path) -> None:
    assert crashed(crash, "exit").status == 5


def test_without_a_network_card_it_says_what_is_missing(crash: Path) -> None:
    ended = run(crash, memory=64)
    assert (ended.status, ended.text) == (
        1,
        "netapp: the machine has no virtio network card: give it one (of QEMU: -device virtio-net-pci)\n",
    )
