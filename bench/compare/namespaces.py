"""Two network namespaces: the server's, and that of whoever loads it. They have no names and no files: each is there as
long as somebody is in it or has it open, so none survives this process and its children, however these end."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

SERVER, CLIENT = "10.99.0.2", "10.99.0.1"  # the ends of the veth pair
PREFIX = 24

_CLONE_NEWNET = 0x40000000


class Namespace:
    """`with namespace:` is within it, as is what is started there."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._outside: list[int] = []

    @property
    def path(self) -> str:
        """For other programs, while this one lives."""
        return f"/proc/{os.getpid()}/fd/{self.descriptor}"

    def __enter__(self) -> Namespace:
        self._outside.append(_current())
        _enter(self.descriptor)
        return self

    def __exit__(self, *exception: object) -> None:
        outside = self._outside.pop()
        _enter(outside)
        os.close(outside)


@contextmanager
def namespaces() -> Iterator[tuple[Namespace, Namespace]]:
    """The server's and the clients', joined by a veth pair as Linux makes it."""
    with namespace() as server, namespace() as client:
        with client:
            ip(f"link add client type veth peer name server netns {server.path}")
            _set_up("client", CLIENT)
        with server:
            _set_up("server", SERVER)
        yield server, client


def ip(arguments: str) -> None:
    done = subprocess.run(["ip", *arguments.split()], capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(f"ip {arguments}: {done.stderr.strip() or 'failed'}")


def _set_up(link: str, address: str) -> None:
    ip(f"address add {address}/{PREFIX} dev {link}")
    ip(f"link set {link} up")


@contextmanager
def namespace() -> Iterator[Namespace]:
    outside = _current()
    try:
        if _libc.unshare(_CLONE_NEWNET):
            reason = os.strerror(ctypes.get_errno())
            raise click.ClickException(f"cannot make a network namespace ({reason}): run as root")
        try:
            descriptor = _current()
            ip("link set lo up")
            # Discovery of neighbours and routers would wake whoever is idle.
            for kind in ("all", "default"):
                setting = Path(f"/proc/sys/net/ipv6/conf/{kind}/disable_ipv6")
                if setting.exists():
                    setting.write_text("1")
        finally:
            _enter(outside)
    finally:
        os.close(outside)
    try:
        yield Namespace(descriptor)
    finally:
        os.close(descriptor)


_libc = ctypes.CDLL(None, use_errno=True)


def _current() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns failed")
