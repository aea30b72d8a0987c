import pytest

from tests.support.appliances import BUILDS


@pytest.fixture(params=BUILDS)
def build(request: pytest.FixtureRequest) -> str:
    return str(request.param)
