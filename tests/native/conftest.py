import pytest

from netapp.native.image.build import Image
from tests.support.images import memcached_image


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Image:
    return memcached_image(tmp_path_factory, worker_id)
