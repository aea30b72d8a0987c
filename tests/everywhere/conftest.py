"""Where memcached runs is a fixture's parameter, and stays for the tests of a module."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.debian import NotFetched, fetched
from tests.everywhere.frames import Frames
from tests.everywhere.servers import REAL, SIMULATED, Both, debian_and, serving, simulated_frames, tap_frames
from tests.support.images import memcached_image
from tests.support.namespaces import network_namespace


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> "Images":
    return Images(tmp_path_factory, worker_id)


class Images:
    """The image, built when it is asked for."""

    def __init__(self, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> None:
        self._given = tmp_path_factory, worker_id

    def path(self, where: str) -> Path | None:
        return memcached_image(*self._given).path if where in ("microvm", "q35") else None


@pytest.fixture(scope="module", params=[*SIMULATED, *(pytest.param(where, marks=pytest.mark.system) for where in REAL)])
def frames(
    request: pytest.FixtureRequest, images: Images, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Frames]:
    """To and from a memcached."""
    where = request.param
    if where in SIMULATED:
        with simulated_frames(where) as made:
            yield made
    else:
        image, folder = images.path(where), tmp_path_factory.mktemp(where)
        with network_namespace(), serving(where, image, folder), tap_frames() as made:
            yield made


@pytest.fixture(scope="session")
def debians() -> None:
    """Debian's memcached is there; it comes by the machine's network."""
    try:
        fetched()
    except NotFetched as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module", params=[*SIMULATED, *REAL])
def both(
    request: pytest.FixtureRequest, images: Images, debians: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Both]:
    where = request.param
    image, folder = images.path(where), tmp_path_factory.mktemp(where)
    with network_namespace(), debian_and(where, image, folder) as made:
        yield made
