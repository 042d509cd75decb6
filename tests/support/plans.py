"""Shows how PostgreSQL would find the rows of a statement, by the generic plan, which ignores the parameters."""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from oms_chassis.db import Database


class Asked:
    """Stands in for a database or a transaction, and records the statements, as a server would prepare them."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def execute(self, sql: str, **_: object) -> list[Any]:
        names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", sql)))
        self.statements.append(re.sub(r"%\((\w+)\)s", lambda found: f"${names.index(found[1]) + 1}", sql))
        return []

    run = execute


def indexes(
    database: Database, ask: Callable[[Any], object], whole: Collection[str] = frozenset()
) -> Sequence[set[str]]:
    """Return the indexes that each statement reads. Raises AssertionError if one reads a whole table other than these,
    or sorts its page by a text that no index has: in a statement that selects `id::text`, ORDER BY id sorts by that."""
    asked = Asked()
    ask(asked)
    return [_read(_plan(database, sql), whole) for sql in asked.statements]


def _plan(database: Database, sql: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = database.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {sql}")[0][0][0]["Plan"]
    return found


def _read(node: Mapping[str, Any], whole: Collection[str]) -> set[str]:
    below = node.get("Plans", ())
    assert node["Node Type"] != "Seq Scan" or node["Relation Name"] in whole, json.dumps(node)
    if node["Node Type"] == "Limit":
        assert not any("::text" in key for one in below for key in one.get("Sort Key", ())), json.dumps(node)
    own = {node["Index Name"]} if "Index Name" in node else set()
    return own.union(*(_read(one, whole) for one in below))
