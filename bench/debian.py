"""Programs of Debian packages, unpacked below build/ and never installed: installing some would start a daemon."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "build" / "memcached"
# Those the programs need, by the beginning of their files' names.
LIBRARIES = {
    "libevent": "libevent-2.1-7",
    "libsasl2": "libsasl2-2",
    "libssl": "libssl3",
    "libmemcached.": "libmemcached11",
    "libhashkit": "libhashkit2",
}


class NotFetched(Exception):
    pass


def fetched(package: str = "memcached", program: str = "usr/bin/memcached") -> Path:
    """The program; its package, and the libraries this machine lacks, come once, where the network is the machine's."""
    path = FOLDER / program
    if not path.exists():
        _fetch(package)
    missing = subprocess.run(
        ["ldd", path], capture_output=True, text=True, env=environment(), check=False
    ).stdout.splitlines()
    for library, owner in LIBRARIES.items():
        if any(re.match(rf"\s*{re.escape(library)}\S* => not found", line) for line in missing):
            _fetch(owner)
    return path


def _fetch(package: str) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(["apt-get", "-q", "download", package], cwd=FOLDER, capture_output=True, check=True, timeout=120)
        (archive,) = FOLDER.glob(f"{package}_*.deb")
        subprocess.run(["dpkg-deb", "-x", archive, FOLDER], check=True, capture_output=True)
        archive.unlink()
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise NotFetched(f"Debian's {package} cannot be fetched: {error}") from None


def environment() -> dict[str, str]:
    """In which the programs find their libraries."""
    return {
        "LD_LIBRARY_PATH": f"{FOLDER}/usr/lib/x86_64-linux-gnu:{FOLDER}/lib/x86_64-linux-gnu",
        "PATH": "/usr/bin:/bin",
    }
