"""memcached's client libraries behind one set of calls: str keys, None for what is not there, True for what is done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from typing import Any

import aiomcache
import bmemcached
import pylibmc
from bmemcached.exceptions import MemcachedException
from pymemcache.client.base import Client, PooledClient
from pymemcache.client.hash import HashClient
from pymemcache.exceptions import MemcacheClientError, MemcacheServerError
from pymemcache.serde import pickle_serde

OPERATIONS = frozenset(
    "set add replace append prepend cas get gets get_multi set_multi delete incr decr touch flush_all version stats "
    "quietly".split()
)


class Library:
    """`missing`: the OPERATIONS that the library has no call for; `calls`: what it names otherwise."""

    missing: frozenset[str] = frozenset()
    calls: Mapping[str, str] = {}
    too_large: type[Exception]  # of a value above -I
    not_a_number: type[Exception] | None  # of what incr cannot count on
    creates = False  # incr and decr of a key that is not there make it, as a number given with them says

    def __init__(self, client: Any) -> None:
        self.client = client

    def lacks(self) -> set[str]:
        """By looking."""
        return {name for name in OPERATIONS if not hasattr(self.client, self.calls.get(name, name))}

    def set(self, key: str, value: Any, expire: int = 0) -> bool:
        return bool(self.client.set(key, value, expire))

    def add(self, key: str, value: Any) -> bool:
        return bool(self.client.add(key, value))

    def replace(self, key: str, value: Any) -> bool:
        return bool(self.client.replace(key, value))

    def append(self, key: str, value: bytes) -> bool:
        return bool(self.client.append(key, value))

    def prepend(self, key: str, value: bytes) -> bool:
        return bool(self.client.prepend(key, value))

    def cas(self, key: str, value: Any, unique: Any) -> bool:
        return bool(self.client.cas(key, value, unique))

    def get(self, key: str) -> Any:
        return self.client.get(key)

    def gets(self, key: str) -> tuple[Any, Any]:
        return self.client.gets(key)

    def get_multi(self, keys: Iterable[str]) -> dict[str, Any]:
        return self.client.get_multi(list(keys))

    def set_multi(self, values: Mapping[str, Any]) -> bool:
        """Whether all were stored."""
        return self.client.set_multi(values) == []

    def delete(self, key: str) -> bool:
        return bool(self.client.delete(key))

    def incr(self, key: str, by: int) -> int | None:
        return self.client.incr(key, by)

    def decr(self, key: str, by: int) -> int | None:
        return self.client.decr(key, by)

    def touch(self, key: str, expire: int) -> bool:
        return bool(self.client.touch(key, expire))

    def flush_all(self) -> None:
        self.client.flush_all()

    def version(self) -> str:
        raise NotImplementedError

    def stats(self) -> dict[str, str]:
        raise NotImplementedError

    def quietly(self, key: str, value: bytes) -> None:
        """Sets without waiting for an answer."""
        raise NotImplementedError

    def close(self) -> None:
        self.client.close()


class PyMemcache(Library):
    calls = {"get_multi": "get_many", "set_multi": "set_many", "quietly": "set"}
    too_large = MemcacheServerError
    not_a_number = MemcacheClientError

    def __init__(self, host: str, port: int) -> None:
        super().__init__(self.made(host, port, default_noreply=False, serde=pickle_serde, timeout=10))

    def made(self, host: str, port: int, **options: Any) -> Any:
        return Client((host, port), **options)

    def version(self) -> str:
        return self.client.version().decode()

    def stats(self) -> dict[str, str]:
        return {name.decode(): _text(value) for name, value in self.client.stats().items()}

    def quietly(self, key: str, value: bytes) -> None:
        self.client.set(key, value, noreply=True)


class PyMemcachePooled(PyMemcache):
    def made(self, host: str, port: int, **options: Any) -> Any:
        return PooledClient((host, port), max_pool_size=3, **options)


class PyMemcacheHashed(PyMemcache):
    missing = frozenset({"stats", "version"})

    def made(self, host: str, port: int, **options: Any) -> Any:
        return HashClient([(host, port)], **options)


class PyMemcacheHashedPools(PyMemcacheHashed):
    def made(self, host: str, port: int, **options: Any) -> Any:
        return HashClient([(host, port)], use_pooling=True, max_pool_size=3, **options)


class PyLibMc(Library):
    missing = frozenset({"version"})
    calls = {"stats": "get_stats", "quietly": "set"}
    too_large = pylibmc.TooBig
    not_a_number = pylibmc.ClientError
    binary = False

    def __init__(self, host: str, port: int) -> None:
        super().__init__(pylibmc.Client([f"{host}:{port}"], binary=self.binary, behaviors={"cas": True}))

    def _found(self, call: str, *arguments: Any) -> Any:
        try:
            return getattr(self.client, call)(*arguments)
        except pylibmc.NotFound:
            return None

    def replace(self, key: str, value: Any) -> bool:
        return bool(self._found("replace", key, value))

    def append(self, key: str, value: bytes) -> bool:
        return bool(self._found("append", key, value))

    def prepend(self, key: str, value: bytes) -> bool:
        return bool(self._found("prepend", key, value))

    def cas(self, key: str, value: Any, unique: Any) -> bool:
        return bool(self._found("cas", key, value, unique))

    def incr(self, key: str, by: int) -> int | None:
        return self._found("incr", key, by)

    def decr(self, key: str, by: int) -> int | None:
        return self._found("decr", key, by)

    def stats(self) -> dict[str, str]:
        ((_, found),) = self.client.get_stats()
        return {_text(name): _text(value) for name, value in found.items()}

    def quietly(self, key: str, value: bytes) -> None:
        self.client.behaviors["_noreply"] = True
        self.client.set(key, value)
        self.client.behaviors["_noreply"] = False

    def close(self) -> None:
        self.client.disconnect_all()


class PyLibMcBinary(PyLibMc):
    binary = True
    not_a_number = None  # it takes that answer for a server that failed, and asks no more

    def touch(self, key: str, expire: int) -> bool:
        """libmemcached 1.0.16 waits for more of this answer than there is."""
        self.client.behaviors["_poll_timeout"] = 300
        try:
            return bool(self._found("touch", key, expire))
        finally:
            self.client.behaviors["_poll_timeout"] = 5000


class BMemcached(Library):
    missing = frozenset({"append", "prepend", "touch", "version"})
    calls = {"quietly": "set_multi"}
    too_large = not_a_number = MemcachedException
    creates = True

    def __init__(self, host: str, port: int) -> None:
        super().__init__(bmemcached.Client((f"{host}:{port}",), socket_timeout=10))

    def stats(self) -> dict[str, str]:
        (found,) = self.client.stats().values()
        return {name: _text(value) for name, value in found.items()}

    def quietly(self, key: str, value: bytes) -> None:
        self.client.set_multi({key: value})  # SetQ, and a NoOp that is answered

    def close(self) -> None:
        self.client.disconnect_all()


class AioMCache(Library):
    missing = frozenset({"set_multi", "quietly"})
    calls = {"get_multi": "multi_get", "quietly": "noreply"}
    too_large = not_a_number = aiomcache.ClientException

    def __init__(self, host: str, port: int) -> None:
        self.runner = asyncio.Runner()
        super().__init__(
            aiomcache.FlagClient(host, port, pool_size=4, get_flag_handler=_from_flags, set_flag_handler=_to_flags)
        )

    def run(self, operation: Awaitable[Any]) -> Any:
        async def awaited() -> Any:
            return await asyncio.wait_for(operation, 10)

        return self.runner.run(awaited())

    def set(self, key: str, value: Any, expire: int = 0) -> bool:
        return self.run(self.client.set(key.encode(), value, expire))

    def add(self, key: str, value: Any) -> bool:
        return self.run(self.client.add(key.encode(), value))

    def replace(self, key: str, value: Any) -> bool:
        return self.run(self.client.replace(key.encode(), value))

    def append(self, key: str, value: bytes) -> bool:
        return self.run(self.client.append(key.encode(), value))

    def prepend(self, key: str, value: bytes) -> bool:
        return self.run(self.client.prepend(key.encode(), value))

    def cas(self, key: str, value: Any, unique: Any) -> bool:
        return self.run(self.client.cas(key.encode(), value, unique))

    def get(self, key: str) -> Any:
        return self.run(self.client.get(key.encode()))

    def gets(self, key: str) -> tuple[Any, Any]:
        return self.run(self.client.gets(key.encode()))

    def get_multi(self, keys: Iterable[str]) -> dict[str, Any]:
        asked = list(keys)
        found = self.run(self.client.multi_get(*[key.encode() for key in asked]))
        return {key: value for key, value in zip(asked, found) if value is not None}

    def delete(self, key: str) -> bool:
        return self.run(self.client.delete(key.encode()))

    def _counted(self, operation: Awaitable[int]) -> int | None:
        try:
            return self.run(operation)
        except aiomcache.ClientException as error:
            if "NOT_FOUND" in str(error):
                return None
            raise

    def incr(self, key: str, by: int) -> int | None:
        return self._counted(self.client.incr(key.encode(), by))

    def decr(self, key: str, by: int) -> int | None:
        return self._counted(self.client.decr(key.encode(), by))

    def touch(self, key: str, expire: int) -> bool:
        return self.run(self.client.touch(key.encode(), expire))

    def flush_all(self) -> None:
        self.run(self.client.flush_all())

    def version(self) -> str:
        return self.run(self.client.version()).decode()

    def stats(self) -> dict[str, str]:
        return {name.decode(): _text(value or b"") for name, value in self.run(self.client.stats()).items()}

    def close(self) -> None:
        self.run(self.client.close())
        self.runner.close()


async def _to_flags(value: str | int) -> tuple[bytes, int]:
    return str(value).encode(), 1 if isinstance(value, str) else 2


async def _from_flags(value: bytes, flags: int) -> str | int:
    return value.decode() if flags == 1 else int(value)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


LIBRARIES: dict[str, type[Any]] = {
    "pymemcache": PyMemcache,
    "pymemcache-pooled": PyMemcachePooled,
    "pymemcache-hashed": PyMemcacheHashed,
    "pymemcache-hashed-pools": PyMemcacheHashedPools,
    "pylibmc-text": PyLibMc,
    "pylibmc-binary": PyLibMcBinary,
    "python-binary-memcached": BMemcached,
    "aiomcache": AioMCache,
}
