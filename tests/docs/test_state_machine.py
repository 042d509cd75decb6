"""The page of the state machines is up to date with the code."""

from pathlib import Path

import pytest
from support.scripts import load

from oms_order import domain

state_machine = load("state_machine")


def test_the_page_is_up_to_date() -> None:
    assert Path(state_machine.PAGE).read_text() == state_machine.page()


def test_a_changed_rule_changes_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    before = state_machine.page()
    monkeypatch.setattr(domain, "RULES", domain.RULES[:-1])
    assert state_machine.page() != before
