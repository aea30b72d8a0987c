"""Network appliances in one Python code base, from the wire to the callback.

The public names are imported on first use, so that `import netapp` stays cheap and no lower part imports a higher one.
"""

from importlib import import_module

__version__ = "0.1.0"

# Where each public name lives. tools/stubs.py makes __init__.pyi of this, for mypy.
PUBLIC = {
    "Appliance": "netapp.node.appliance",
    "BufferPool": "netapp.iobuf.pool",
    "Chain": "netapp.iobuf.chain",
    "Connection": "netapp.tcp.connection",
    "Cursor": "netapp.iobuf.cursor",
    "EbbRef": "netapp.ebb.core",
    "EventManager": "netapp.event.manager",
    "Future": "netapp.event.future",
    "IOBuf": "netapp.iobuf.chain",
    "Representative": "netapp.ebb.core",
    "TcpHandler": "netapp.tcp.handler",
}
__all__ = sorted(PUBLIC)


def __getattr__(name: str) -> object:
    module = PUBLIC.get(name)
    if module is None:
        raise AttributeError(f"module 'netapp' has no attribute {name!r}")
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
