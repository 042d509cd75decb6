"""The page of the problems is up to date, and names every type that an answer can have."""

import re
from pathlib import Path

from support.scripts import load

problems = load("problems")
ROOT = Path(__file__).parents[2]
CODE = [*ROOT.glob("packages/*/oms_*/**/*.py"), *ROOT.glob("services/*/oms_*/**/*.py")]
TYPE = r"^    status, kind, title = \d+, \"([a-z-]+)\""
OF_ORDERS = r"\"((?:bad|missing|unknown|wrong|out-of)-[a-z-]+)\""  # what `oms_order.requests` makes of Pydantic's


def test_the_page_is_up_to_date() -> None:
    assert problems.PAGE.read_text() == problems.page()


def test_every_type_that_the_code_names_is_on_the_page() -> None:
    named = {kind for path in CODE for kind in re.findall(TYPE, path.read_text(), re.MULTILINE)}
    named |= set(re.findall(OF_ORDERS, (ROOT / "services/order/oms_order/requests.py").read_text()))
    assert len(named) > 50
    assert {kind for kind in named if not re.search(rf"\b{kind}\b", problems.page())} == set()
