"""The lists of requirements, their tests and the page agree."""

import pytest

from tests.conformance.page import is_current
from tests.conformance.requirement import Document, documents, faults


@pytest.mark.parametrize("document", documents(), ids=lambda document: document.folder)
def test_every_requirement_has_a_test_or_a_reason(document: Document) -> None:
    assert not faults(document)


def test_the_page_is_up_to_date() -> None:
    assert is_current(documents()), "docs/conformance.md: run python -m tests.conformance"
