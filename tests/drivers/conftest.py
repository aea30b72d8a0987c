import pytest

from tests.support.namespaces import network_namespace
from tests.support.pools import core_with_pool


@pytest.fixture
def core():
    with network_namespace(), core_with_pool() as made:
        yield made


@pytest.fixture(params=["rw", "uring"])
def io(request):
    """The ways by which frames go. A test that has no use for it has the one that is chosen where none is asked for."""
    return request.param
