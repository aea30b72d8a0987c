"""The options of a boot image: baked in by `netapp build`, or on its command line, which goes before that."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields

from netapp.node.options import NetworkOptions, option


@dataclass(frozen=True)
class BareOptions(NetworkOptions):
    """On the bare machine."""

    verbose: int = option(0, "say more; twice: everything, with tracebacks", flags=("-v", "--verbose"), count=True)

    def words(self, given: Collection[str] = ()) -> list[str]:
        """Those that say what differs from the defaults, and what was `given`, by the fields' names."""
        found = []
        for one in fields(self):
            value, flag = getattr(self, one.name), one.metadata.get("flags", (f"--{one.name.replace('_', '-')}",))[-1]
            if value == one.default and one.name not in given:
                continue
            if one.metadata.get("count"):
                found += [flag] * value
            elif one.default is False:
                found.append(flag)
            else:
                found += [f"{flag}={text}" for text in (value if isinstance(value, tuple) else (value,))]
        return found


@dataclass(frozen=True)
class ImageOptions(BareOptions):
    """There, and as a Linux process."""

    tap: str = option("netapp0", "as a Linux process: the tap device, which has to be there", metavar="NAME")
    io: str = option("auto", "as a Linux process: how frames are read and written", choices=("auto", "rw", "uring"))
