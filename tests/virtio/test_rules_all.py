"""The table of rules is whole: each has a driver that breaks it."""

from tests.virtio import (
    test_rules_basic,
    test_rules_mmio,
    test_rules_net,
    test_rules_packed,
    test_rules_pci,
    test_rules_split,
)
from tests.virtio.model.rules import RULES

FILES = test_rules_basic, test_rules_split, test_rules_packed, test_rules_pci, test_rules_mmio, test_rules_net


def test_each_rule_has_a_case():
    assert {rule for file in FILES for rule, _ in file.CASES.all} == set(RULES)
