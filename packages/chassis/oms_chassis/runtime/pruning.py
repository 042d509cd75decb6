"""When retention is seen to: soon after the start, but not in all replicas at once, and each hour from then on."""

import random
from functools import partial

from oms_chassis.db import Database
from oms_chassis.retention import Retention, prune
from oms_chassis.runtime.threads import Task

FIRST, EVERY = 60.0, 3600.0  # seconds until the first look, at most, and between two


def task(database: Database, retention: Retention) -> Task:
    """The task that keeps a table to its retention."""
    first = random.uniform(FIRST / 10, FIRST)  # noqa: S311 - a spread, not a secret
    return Task(f"prune-{retention.table}", partial(prune, database, retention), EVERY, first)
