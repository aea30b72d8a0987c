"""An initramfs: a cpio archive in the "newc" form (Linux, Documentation/driver-api/early-userspace/buffer-format)."""

from __future__ import annotations

from collections.abc import Mapping

_FILE, _FOLDER = 0o100755, 0o040755


def archive(files: Mapping[str, bytes]) -> bytes:
    """By path, without the first slash. Folders are made as they are needed."""
    folders = {folder for path in files for folder in _above(path)}
    entries = [(folder, _FOLDER, b"") for folder in sorted(folders)]
    entries += [(path, _FILE, content) for path, content in files.items()]
    entries.append(("TRAILER!!!", 0, b""))
    return b"".join(_entry(number + 1, *entry) for number, entry in enumerate(entries))


def _above(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _entry(inode: int, path: str, mode: int, content: bytes) -> bytes:
    name = path.encode() + b"\0"
    fields = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    return _padded(head) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
