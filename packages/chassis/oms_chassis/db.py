"""A service's database: its connections, and the transactions that the chassis opens and commits.

Rows are sent to Postgres as a single JSON parameter, so that one prepared statement serves batches of every size.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import Context, copy_context
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, Engine, QueuePool, event
from sqlalchemy.exc import InvalidatePoolError

from oms_chassis import sessions
from oms_chassis.handoff import Handoff, Handover
from oms_chassis.sessions import Limits
from oms_chassis.statements import Rows, as_json, execute, execute_counted

DEFAULT = Limits()
PING = 1.5  # seconds within which a pooled connection must answer a ping
PING_AFTER_IDLE = 1.0  # seconds since its last use after which a pooled connection is pinged


class CommitSignals:
    """In-process signals that work was committed, by name ("outbox", or a job queue's): cheaper than NOTIFY in every
    transaction. `handoffs` pass some of that work on directly."""

    def __init__(self) -> None:
        self.handoffs: dict[str, Handoff[Any]] = {}
        self._events: dict[str, list[threading.Event]] = defaultdict(list)

    def event(self, name: str) -> threading.Event:
        """Return a new event for the caller, which is set whenever work of this name has been committed."""
        self._events[name].append(threading.Event())
        return self._events[name][-1]

    def notify(self, names: Iterable[str]) -> None:
        """Set the events of these names, in the order in which they were created."""
        for name in names:
            for one in self._events[name]:
                one.set()


class Transaction:
    """One unit of work. Events emitted and jobs enqueued in it exist if and only if its rows do."""

    def __init__(self, connection: Connection, handoffs: Mapping[str, Handoff[Any]] = {}) -> None:
        self.connection, self._handoffs = connection, handoffs
        self._handovers: dict[str, Handover[Any]] = {}
        self.signals: set[str] = set()
        self._reports: list[tuple[Context, Callable[[], object]]] = []

    def execute(self, sql: str, **params: object) -> Rows:
        """Execute one statement with psycopg's `%(name)s` parameters, and return its rows, if any."""
        return execute(self.connection, sql, params)

    def count(self, sql: str, **params: object) -> int:
        """Execute one statement that returns no rows, and return how many it wrote or deleted."""
        return execute_counted(self.connection, sql, params)[1]

    def handover(self, name: str) -> Handover[Any] | None:
        """Return the work that is handed over under this name after the commit; None if nobody in this process takes
        it."""
        if name not in self._handovers and name in self._handoffs:
            self._handovers[name] = Handover(self._handoffs[name])
        return self._handovers.get(name)

    def hand_over(self) -> None:
        """Hand the work over. Called after the commit."""
        for handover in self._handovers.values():
            handover.give()

    def after_commit(self, report: Callable[[], object]) -> None:
        """Call `report`, which counts or logs what was done, after the commit: a batch may be retried in parts, and a
        dry run is rolled back. It is called in the trace context of this moment."""
        self._reports.append((copy_context(), report))

    def report(self) -> None:
        """Call the functions that were given to `after_commit`."""
        for context, report in self._reports:
            context.run(report)

    def execute_rows(self, sql: str, rows: Iterable[Mapping[str, object]], **params: object) -> Rows:
        """Execute one statement for many rows: `FROM json_to_recordset(%(rows)s::json) AS r(id text, ...)`."""
        listed = list(rows)
        return execute(self.connection, sql, {"rows": as_json(listed), **params}) if listed else []


class Pool(NamedTuple):
    """A connection pool: its size, and how many connections are in use."""

    name: str
    size: int
    in_use: int


class Database:
    """A service's own database. Connects on first use. `limits` bound how long its sessions may wait."""

    def __init__(
        self,
        url: str,
        pool: int = 8,
        limits: Limits = DEFAULT,
        signals: CommitSignals | None = None,
        name: str = "shared",
    ) -> None:
        self._url, self._pool, self.limits, self._name = url, pool, limits, name
        self._reserved: list[Database] = []
        self.signals = signals or CommitSignals()
        self._open()

    def _open(self) -> None:
        self.engine: Engine = sessions.engine(self._url, self._pool, self.limits)
        _ping_the_idle(self.engine)
        self._reads = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    def reserve(self, connections: int = 1, limits: Limits | None = None, name: str = "reserved") -> "Database":
        """Return the same database with a pool of its own, by which this one's pool shrinks.

        Call it before the first use only. Raises ValueError if no connection would be left here.
        """
        if connections >= self._pool:
            raise ValueError(f"a pool of {self._pool} cannot spare {connections}")
        self._pool -= connections
        self._open()
        self._reserved.append(Database(self._url, connections, limits or self.limits, self.signals, name))
        return self._reserved[-1]

    def pools(self) -> list[Pool]:
        """Return this pool and the reserved ones, as they are at this moment."""
        own = Pool(self._name, self._pool, cast("QueuePool", self.engine.pool).checkedout())
        return [own, *(pool for one in self._reserved for pool in one.pools())]

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Open a transaction, which is committed at the end of the block, or rolled back if the block raises."""
        return self._announced(self.engine.begin())

    def single(self) -> AbstractContextManager[Transaction]:
        """Open a transaction of one statement, without the round trips that begin and commit a longer one."""
        return self._announced(self.autocommit())

    @contextmanager
    def _announced(self, connecting: AbstractContextManager[Connection]) -> Iterator[Transaction]:
        """A transaction on this connection; after its commit, those who wait for its work are notified."""
        with connecting as connection:
            transaction = Transaction(connection, self.signals.handoffs)
            yield transaction
        transaction.hand_over()
        self.signals.notify(transaction.signals)
        transaction.report()

    @contextmanager
    def autocommit(self) -> Iterator[Connection]:
        """A connection on which each statement is a transaction of its own."""
        with self._reads.connect() as connection:
            yield connection

    def execute(self, sql: str, **params: object) -> Rows:
        """Execute one statement in a transaction of its own, and return its rows, if any."""
        with self.autocommit() as connection:
            return execute(connection, sql, params)

    def dispose(self) -> None:
        """Close every pooled connection."""
        for one in self._reserved:
            one.dispose()
        self.engine.dispose()


def _ping_the_idle(engine: Engine) -> None:
    """Ping a pooled connection before its use if it has been idle for a while.

    SQLAlchemy's own `pool_pre_ping` does so every time, which costs a busy service a round trip per transaction.
    """

    def note(_: Any, record: Any) -> None:
        record.info["used"] = time.monotonic()

    def ask(connection: Any, record: Any, _: Any) -> None:
        if time.monotonic() - record.info.get("used", float("inf")) < PING_AFTER_IDLE:
            return
        try:
            with connection.within(PING):
                engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error  # replaces it, and all others that were opened before

    event.listen(engine, "checkin", note)
    event.listen(engine, "checkout", ask)
