"""The database: one engine, and transactions that the chassis opens and commits.

Rows travel to Postgres as one JSON parameter however many they are: one statement, prepared once, for each batch size.
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
PING = 1.5  # seconds that a pooled connection has to show that it is alive
PING_AFTER_IDLE = 1.0  # seconds since its last use after which a pooled connection is asked whether it is alive


class CommitSignals:
    """In-process signals that there is work ("outbox", a queue's name): cheaper than NOTIFY in every transaction. Some
    of it may be handed over."""

    def __init__(self) -> None:
        self.handoffs: dict[str, Handoff[Any]] = {}
        self._events: dict[str, list[threading.Event]] = defaultdict(list)

    def event(self, name: str) -> threading.Event:
        """An event of the caller's own, which is set from now on when work of this name was committed."""
        self._events[name].append(threading.Event())
        return self._events[name][-1]

    def notify(self, names: Iterable[str]) -> None:
        """Set the events of these names, in the order in which they were asked for."""
        for name in names:
            for one in self._events[name]:
                one.set()


class Transaction:
    """One unit of work. What is emitted and enqueued in it exists if and only if its rows do."""

    def __init__(self, connection: Connection, handoffs: Mapping[str, Handoff[Any]] = {}) -> None:
        self.connection, self._handoffs = connection, handoffs
        self._handovers: dict[str, Handover[Any]] = {}
        self.signals: set[str] = set()
        self._reports: list[tuple[Context, Callable[[], object]]] = []

    def execute(self, sql: str, **params: object) -> Rows:
        """Run one statement with psycopg's `%(name)s` parameters; its rows, if it returns any."""
        return execute(self.connection, sql, params)

    def count(self, sql: str, **params: object) -> int:
        """Run one statement that returns no rows; how many it wrote or deleted."""
        return execute_counted(self.connection, sql, params)[1]

    def handover(self, name: str) -> Handover[Any] | None:
        """What is handed over under this name once it is committed; None if nobody of this process takes it."""
        if name not in self._handovers and name in self._handoffs:
            self._handovers[name] = Handover(self._handoffs[name])
        return self._handovers.get(name)

    def hand_over(self) -> None:
        """It is committed: give what is handed over."""
        for handover in self._handovers.values():
            handover.give()

    def after_commit(self, report: Callable[[], object]) -> None:
        """Count or log what this transaction does once it is done: a batch may be tried again in parts, and a dry run
        is rolled back. It is called as if from here, in the trace of this moment."""
        self._reports.append((copy_context(), report))

    def report(self) -> None:
        """Call what was to be called after the commit."""
        for context, report in self._reports:
            context.run(report)

    def execute_rows(self, sql: str, rows: Iterable[Mapping[str, object]], **params: object) -> Rows:
        """Run one statement over many rows: `FROM json_to_recordset(%(rows)s::json) AS r(id text, ...)`."""
        listed = list(rows)
        return execute(self.connection, sql, {"rows": as_json(listed), **params}) if listed else []


class Pool(NamedTuple):
    """A pool's connections: how many there may be, and how many are in use."""

    name: str
    size: int
    in_use: int


class Database:
    """A service's own database. Nothing connects before the first use. `limits` say how long a session may take."""

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
        """The same database through connections that nobody else can take; this one's pool shrinks by as many.

        Only before the first use. ValueError if none would be left.
        """
        if connections >= self._pool:
            raise ValueError(f"a pool of {self._pool} cannot spare {connections}")
        self._pool -= connections
        self._open()
        self._reserved.append(Database(self._url, connections, limits or self.limits, self.signals, name))
        return self._reserved[-1]

    def pools(self) -> list[Pool]:
        """This one's connections and those that were reserved, at this moment."""
        own = Pool(self._name, self._pool, cast("QueuePool", self.engine.pool).checkedout())
        return [own, *(pool for one in self._reserved for pool in one.pools())]

    def transaction(self) -> AbstractContextManager[Transaction]:
        """A transaction: committed at the end of the block, rolled back if the block raises."""
        return self._announced(self.engine.begin())

    def single(self) -> AbstractContextManager[Transaction]:
        """A transaction of one statement, without the round trips that begin and commit a longer one."""
        return self._announced(self.autocommit())

    @contextmanager
    def _announced(self, connecting: AbstractContextManager[Connection]) -> Iterator[Transaction]:
        """What is done on a connection; whoever waits for it is woken once it is committed."""
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
        """Run one statement in a transaction of its own; its rows, if it returns any."""
        with self.autocommit() as connection:
            return execute(connection, sql, params)

    def dispose(self) -> None:
        """Close every pooled connection."""
        for one in self._reserved:
            one.dispose()
        self.engine.dispose()


def _ping_the_idle(engine: Engine) -> None:
    """Ask a pooled connection whether it is still one, if it was last used a while ago.

    SQLAlchemy's own `pool_pre_ping` asks each time, which costs a busy service a round trip a transaction.
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
            raise InvalidatePoolError from error  # it is replaced, and so is every other one of its age

    event.listen(engine, "checkin", note)
    event.listen(engine, "checkout", ask)
