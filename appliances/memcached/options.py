"""memcached's options, in its order and words; those that have no meaning here are refused, and say why."""

from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace
from typing import Any

from appliances.memcached.words import VERSION
from netapp.node.appliance import Appliance, text_of

MIB = 1 << 20
# Beside -m: frames on their way, replies not yet acknowledged, and what slots of many sizes waste.
HEADROOM = 64 * MIB
LICENSE = "Apache License, Version 2.0: see netapp's file LICENSE; it contains no code of memcached's"

Pairs = tuple[tuple[str, int], ...]

_HOST = "what the process may do is the host's: whoever starts it says so"
_SOCKET = "the node has a network stack of its own, and no file system"
_STORAGE = "there is no external storage"
_TLS = "there is no TLS"
_SLOTS = "sizes of slots are the buffer pool's"

_RULES = [line.partition(": ") for line in text_of(__name__, "extended.txt").splitlines()[3:]]
_EXTENDED = {
    rule.split()[1]: (rule.split()[0], [int(number) for number in rule.split()[2:]], text) for rule, _, text in _RULES
}


def item_size(text: str) -> int:
    """1m, 512k, or bytes."""
    unit = {"k": 1 << 10, "m": MIB}.get(text[-1:].lower())
    digits = text[:-1] if unit else text
    size = int(digits) * (unit or 1) if digits.isascii() and digits.isdigit() and len(digits) < 12 else 0
    if not 1 << 10 <= size <= 1 << 30:
        raise ValueError(f"{text!r} is no item size from 1k to 1024m")
    return size


def extended(text: str) -> Pairs:
    """hashpower=20,idle_timeout=10,…"""
    found = []
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        kind, numbers, words = _EXTENDED.get(name, ("", [], ""))
        if kind == "refused":
            raise ValueError(f"{name} is refused: {words}")
        if not kind:
            raise ValueError(f"illegal suboption {name!r}")
        if kind == "number" and name != "slab_automove_ratio":  # which is a fraction, and has no effect
            _, least, greatest = numbers
            if not (value.isascii() and value.isdigit() and len(value) < 12 and least <= int(value) <= greatest):
                raise ValueError(f"{name} wants a number from {least} to {greatest}")
            numbers = [int(value)]
        found.append((name, numbers[0] if numbers else 1))
    return tuple(found)


def _option(default: Any, flags: str, words: str, **more: Any) -> Any:
    return field(default=default, metadata={"flags": tuple(flags.split()), "help": words, **more})


def _refused(flags: str, words: str, why: str, metavar: str = "") -> Any:
    return _option("", flags, f"{words} (refused: {why})", refused=why, metavar=metavar)


def _number(default: int, flags: str, words: str, least: int = 1, greatest: int = 1 << 20) -> Any:
    return _option(default, flags, words, range=(least, greatest))


_EXTENDED_HELP = "comma separated list of extended options\n\n\b\n" + "\n".join(
    f"{name}: {'refused: ' * (kind == 'refused')}{text}" + (f" (default: {numbers[0]})" if numbers else "")
    for name, (kind, numbers, text) in _EXTENDED.items()
)


@dataclass(frozen=True)
class Options(Appliance.Options):
    """memcached's, of which those that mean nothing here are refused."""

    port: int = _number(11211, "-p --port", "TCP port to listen on; 0: none", 0, 65535)
    udp_port: int = _number(0, "-U --udp-port", "UDP port to listen on; 0: none", 0, 65535)
    socket: str = _refused("-s --unix-socket", "UNIX socket to listen on", _SOCKET, "FILE")
    mask: str = _refused("-a --unix-mask", "access mask for UNIX socket", _SOCKET, "MASK")
    enable_shutdown: bool = _option(False, "-A --enable-shutdown", 'enable ascii "shutdown" command')
    listen: tuple[str, ...] = _option((), "-l --listen", "addresses to listen on: ADDR[:PORT],…", metavar="ADDR")
    daemon: str = _refused("-d --daemon", "run as a daemon", "it stays in the foreground; a supervisor starts it")
    coredumps: str = _refused("-r --enable-coredumps", "maximize core file limit", _HOST)
    user: str = _refused("-u --user", "assume identity of USER", _HOST, "USER")
    memory_limit: int = _number(64, "-m --memory-limit", "item memory in megabytes")
    disable_evictions: bool = _option(False, "-M --disable-evictions", "return error on memory exhausted: no eviction")
    conn_limit: int = _number(1024, "-c --conn-limit", "max simultaneous connections")
    lock_memory: str = _refused("-k --lock-memory", "lock down all paged memory", _HOST)
    verbose: int = _option(0, "-v --verbose", "verbose (no effect: netapp's own -v says more)", count=True)
    license: bool = _option(False, "-i --license", "print license and exit", shows=LICENSE)
    version: bool = _option(False, "-V --version", "print version and exit", shows=f"memcached {VERSION.decode()}")
    pidfile: str = _refused("-P --pidfile", "save PID in FILE, only used with -d option", "there is no -d", "FILE")
    growth: str = _refused("-f --slab-growth-factor", "chunk size growth factor", _SLOTS, "N")
    least: str = _refused("-n --slab-min-size", "min space used for key+value+flags", _SLOTS, "BYTES")
    large_pages: str = _refused("-L --enable-largepages", "try to use large memory pages", _HOST)
    prefix: str = _refused("-D --stat-prefix", "delimiter of prefixes", "there are no statistics by prefix", "CHAR")
    threads: int = _number(4, "-t --threads", "number of threads to use; there is one, whatever it says")
    max_reqs_per_event: int = _number(20, "-R --max-reqs-per-event", "requests of a connection before others' turns")
    disable_cas: bool = _option(False, "-C --disable-cas", "disable use of CAS")
    backlog: int = _number(1024, "-b --listen-backlog", "set the backlog queue limit")
    protocol: str = _option("auto", "-B --protocol", "what clients speak", choices=("ascii", "binary", "auto"))
    max_item_size: int = _option(MIB, "-I --max-item-size", "1k to 1024m", parse=item_size, metavar="SIZE", shown="1m")
    sasl: str = _refused("-S --enable-sasl", "turn on Sasl authentication", "there is no authentication")
    disable_flush_all: bool = _option(False, "-F --disable-flush-all", "disable flush_all command")
    disable_dumping: bool = _option(False, "-X --disable-dumping", "disable cachedump and metadump (they are, always)")
    disable_watch: bool = _option(False, "-W --disable-watch", "disable watch commands (they are, always)")
    auth_file: str = _refused("-Y --auth-file", "ASCII protocol authentication", "there is no authentication", "FILE")
    memory_file: str = _refused("-e --memory-file", "mmap a file for item memory", _SOCKET, "FILE")
    ssl: str = _refused("-Z --enable-ssl", "enable TLS/SSL", _TLS)
    napi_ids: str = _refused("-N --napi_ids", "number of napi ids", _SOCKET, "N")
    extended: tuple[Pairs, ...] = _option((), "-o --extended", _EXTENDED_HELP, parse=extended, metavar="LIST")

    def __post_init__(self) -> None:
        if self.max_item_size > self.memory_limit * MIB // 2:
            raise ValueError("-I: cannot set item size limit higher than 1/2 of memory max (-m)")
        if not self.port and not self.udp_port:
            raise ValueError("-p 0 without -U: there is no port to listen on")
        if self.more.hot_lru_pct + self.more.warm_lru_pct > 80:
            raise ValueError("-o: hot_lru_pct + warm_lru_pct cannot be more than 80% combined")
        self.addresses  # noqa: B018 (raises ValueError)

    @cached_property
    def more(self) -> SimpleNamespace:
        """The extended options, those that were not given too."""
        found = {name: numbers[0] if numbers else 0 for name, (_, numbers, _) in _EXTENDED.items()}
        found["lru_crawler"] = 1
        for name, value in (pair for given in self.extended for pair in given):
            found[name] = value
            if name.endswith("lru_crawler"):
                found["lru_crawler"] = int(name == "lru_crawler")
        return SimpleNamespace(**found)

    @cached_property
    def addresses(self) -> list[tuple[str | None, int]]:
        """To listen on, with ports; None: all of the node's."""
        found: list[tuple[str | None, int]] = []
        for text in filter(None, ",".join(self.listen).replace(" ", ",").split(",")):
            address, colon, port = text.partition(":")
            if text.startswith("notls:") or not (port or str(self.port)).isdigit() or bool(colon) != bool(port):
                raise ValueError(f"-l: {text!r} is no ADDR or ADDR:PORT")
            found.append((None if address == "*" else address, int(port or self.port)))
        return found or [(None, self.port)]

    @property
    def most_memory(self) -> int:
        """MiB that cache_memlimit may set: the pool was made for -m."""
        return max(self.memory_limit, 64)
