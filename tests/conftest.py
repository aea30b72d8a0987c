"""Which build the tests run on: NETAPP_VARIANT, as tools/python sets it, and never another one by accident."""

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

import netapp

ROOT = Path(__file__).resolve().parent.parent
VARIANT = os.environ.get("NETAPP_VARIANT") or "release"

# Time is not tested: a busy machine fails no test.
hypothesis.settings.register_profile("netapp", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("netapp")


def pytest_configure(config: pytest.Config) -> None:
    # What a shell starts in the background ignores it, and a test of interrupts would sleep for ever.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    expected = (ROOT if VARIANT == "release" else ROOT / "build" / VARIANT / "lib") / "netapp"
    found = Path(netapp.__file__ or "").resolve().parent
    if found != expected:
        raise pytest.UsageError(f"netapp comes from {found}, not from {expected}: run tools/python {VARIANT} -m pytest")


def pytest_report_header() -> str:
    return f"netapp: {VARIANT} build"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """System tests run on the release build only."""
    if VARIANT == "release":
        return
    system = [item for item in items if item.get_closest_marker("system")]
    if system:
        config.hook.pytest_deselected(items=system)
        items[:] = [item for item in items if item not in system]


@pytest.fixture(scope="module", autouse=True)
def collector() -> Iterator[None]:
    """The many explicit collections look at a module's own objects only, not at all that is loaded."""
    gc.collect()
    gc.freeze()
    yield
