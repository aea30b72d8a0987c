"""What a result is of: the machine and the versions. Neither names nor paths."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

from bench.debian import NotFetched, environment, fetched


def machine() -> dict[str, str]:
    cpu = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*: (.+)$", cpu, re.MULTILINE)
    flags = re.search(r"^flags\s*:.*\bhypervisor\b", cpu, re.MULTILINE)
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    return {
        "CPU": f"{model[1] if model else platform.machine()}{', virtual' if flags else ''}",
        "CPUs": str(os.cpu_count()),
        "memory": f"{int(memory[1]) / (1 << 20):.0f} GiB" if memory else "unknown",
        "system": _system(),
        "Linux": _number(platform.release()),
        "memcached": _memcached(),
        "Python": platform.python_version(),
        "Cython": version("Cython"),
        "netapp": version("netapp"),
    }


def _number(release: str) -> str:
    """Without what somebody called a build of his."""
    found = re.match(r"\d+(\.\d+)*", release)
    return found[0] if found else "unknown"


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _memcached() -> str:
    try:
        said = subprocess.run([fetched(), "-V"], capture_output=True, text=True, env=environment(), check=False).stdout
    except (NotFetched, OSError):
        return "unknown"
    found = re.search(r"memcached (\S+)", said)
    return f"{found[1]}, Debian's package" if found else "unknown"
