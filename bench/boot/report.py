"""What was measured of guests, as tables, sentences and a picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.compare.spread import Row, grouped, ratio, spread
from bench.compare.tables import aligned, markdown, number, shown

STORED = Path("results", "boot.json")
HOSTED = "hosted"
_SPEED_HEAD = (
    "",
    "first reply, s",
    "64 connections: requests/s",
    "p50 µs",
    "p99 µs",
    "1 connection: requests/s",
    "p50 µs",
)
_FACTS_HEAD = ("", "instructions until the first reply, M", "image, MB", "least memory, MiB")
HEAD = """\
# A boot image beside a Linux guest

Written by `python -m bench.boot`. The image is `netapp build memcached`; the Linux guest is Debian's kernel for virtual
machines and an initramfs with Debian's memcached, started by a program that loads virtio-net's drivers and sets an
address. Both run in the same QEMU, emulated in software (TCG), on one core, on the same tap device, with the same
clients, {memory} MiB of memory and `-m {cache}`; the least memory is with `-m {small_cache}`. Time counts from QEMU's
start until a client has read the first reply; clients try every 5 ms. Hosted is `netapp run memcached`, which nothing
emulates.

{ratios}

![Time to the first reply and requests per second, a bar a guest](results/boot.png)

Medians of {rounds} shuffled rounds, {date}, with the least and the greatest:

{speeds}

{facts}

EbbRT's case study (table 1; 2014, hardware virtualisation) has for Linux 4.01 s, 1,915 M instructions and 31.6 MB, for
EbbRT 1.52 s, 73 M and 1.2 MB.

{machine}.
"""


def title(found: dict[str, Any], row: Row) -> str:
    if row["guest"] == HOSTED:
        return "netapp run, hosted"
    return f"{found['facts'][row['guest']]['title']}, {row['machine']}"


def by_case(found: dict[str, Any]) -> dict[tuple[str, str], list[Row]]:
    """Rows with their `rate`: requests a second of 64 connections."""
    rows = [row | {"rate": row["load"]["64"]["requests_per_second"]} for row in found["rows"]]
    rows.sort(key=lambda row: (row["machine"], row["guest"]))
    return grouped(rows, lambda row: (row["guest"], row["machine"]))


def speed_table(found: dict[str, Any], for_terminal: bool = False) -> str:
    lines = []
    for own in by_case(found).values():
        many, single = ([row["load"][connections] for row in own] for connections in ("64", "1"))
        lines.append(
            [
                title(found, own[0]),
                shown(spread(row["first_reply"] for row in own)),
                shown(spread(load["requests_per_second"] for load in many)),
                shown(spread(load["p50_us"] for load in many)),
                shown(spread(load["p99_us"] for load in many)),
                shown(spread(load["requests_per_second"] for load in single)),
                shown(spread(load["p50_us"] for load in single)),
            ]
        )
    return aligned(_SPEED_HEAD, lines) if for_terminal else markdown(_SPEED_HEAD, lines)


def facts_table(found: dict[str, Any], for_terminal: bool = False) -> str:
    lines = []
    for facts in found["facts"].values():
        counted, least = facts.get("instructions"), facts.get("least_memory", {})
        memory = ", ".join(f"{machine} {value}" for machine, value in least.items())
        size = number(facts["image_bytes"] / 1e6)
        lines.append([facts["title"], number(counted / 1e6) if counted else "-", size, memory or "-"])
    return aligned(_FACTS_HEAD, lines) if for_terminal else markdown(_FACTS_HEAD, lines)


def ratios(found: dict[str, Any]) -> Iterator[str]:
    """Ours to the Linux guest, machine by machine."""
    cases = by_case(found)
    for guest, machine in cases:
        linux = cases.get(("linux", machine))
        if guest != "netapp" or linux is None:
            continue
        own = cases[guest, machine]
        yield (
            f"**{machine}**: the image's first reply takes {shown(ratio(own, linux, 'first_reply'))} of the time of the"
            f" Linux guest's; it answers {shown(ratio(own, linux, 'rate'))} times the requests"
        )


def section(found: dict[str, Any]) -> str:
    """Of RESULTS.md."""
    return HEAD.format(
        **{name: found[name] for name in ("memory", "cache", "small_cache", "rounds", "date")},
        ratios="\n".join(f"- {line}" for line in ratios(found)),
        speeds=speed_table(found),
        facts=facts_table(found),
        machine="; ".join(f"{name} {value}" for name, value in found["machine"].items()),
    )
