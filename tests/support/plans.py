"""How PostgreSQL would find the rows of a statement: by the plan that a connection keeps, which is made without looking
at the parameters."""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from oms_chassis.db import Database


class Asked:
    """In place of a database, or of a transaction: the statements that it would have been asked, as a server prepares
    them."""

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
    """The indexes that each statement reads that is asked; AssertionError if one reads a whole table that is not among
    these, or takes its page in the order of a text that no index has: to ORDER BY id means `id::text` in a statement
    that shows it so."""
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
