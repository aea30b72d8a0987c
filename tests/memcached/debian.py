"""Debian's memcached, unpacked and not installed: installing the package would start a daemon."""

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "build" / "memcached"
PACKAGES = {"memcached": "", "libevent-2.1-7": "libevent", "libsasl2-2": "libsasl2", "libssl3": "libssl"}


# Its thread that moves items refers to them meanwhile: a number that gets shorter is then not padded, now and then.
NO_MOVES = ("-o", "no_lru_maintainer")


class NotFetched(Exception):
    pass


def fetched() -> Path:
    """The program; it, and the libraries this machine lacks, come once, where the network is the machine's own."""
    program = FOLDER / "usr/bin/memcached"
    if not program.exists():
        _fetch("memcached")
    missing = subprocess.run(["ldd", program], capture_output=True, text=True, env=_environment()).stdout
    for package, library in PACKAGES.items():
        if library and re.search(rf"{library}\S* => not found", missing):
            _fetch(package)
    return program


def _fetch(package: str) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(["apt-get", "-q", "download", package], cwd=FOLDER, capture_output=True, check=True, timeout=120)
        (archive,) = FOLDER.glob(f"{package}_*.deb")
        subprocess.run(["dpkg-deb", "-x", archive, FOLDER], check=True, capture_output=True)
        archive.unlink()
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise NotFetched(f"Debian's {package} cannot be fetched: {error}") from None


def _environment() -> dict[str, str]:
    return {
        "LD_LIBRARY_PATH": f"{FOLDER}/usr/lib/x86_64-linux-gnu:{FOLDER}/lib/x86_64-linux-gnu",
        "PATH": "/usr/bin:/bin",
    }


@contextmanager
def debian(port: int, *options: str) -> Iterator[int]:
    """Serves on the loopback of this thread's network namespace until the end of the block."""
    command = [str(fetched()), "-u", "root", "-l", "127.0.0.1", "-p", str(port), *options]
    process = subprocess.Popen(command, env=_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                break
            except ConnectionRefusedError:
                if process.poll() is not None or time.monotonic() > end:
                    raise
                time.sleep(0.01)
        yield port
    finally:
        process.kill()  # it keeps nothing
        process.wait(20)
