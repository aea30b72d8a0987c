"""Each mutant can be applied, each MUST that is met has one; the long run makes each of them fail its test."""

import pytest

from tests.conformance.requirement import Document, documents
from tests.mutants.__main__ import main
from tests.mutants.mutant import faults


@pytest.mark.parametrize("document", documents(), ids=lambda document: document.folder)
def test_every_must_has_a_mutant_that_applies(document: Document) -> None:
    assert not faults(document)


@pytest.mark.system
@pytest.mark.soak
def test_every_mutant_is_seen() -> None:
    assert main([]) == 0
