"""Sessions with Postgres, none of which waits without a bound, whatever becomes of the server, a lock or the network.

The server bounds statements, locks and idle transactions, and gives up clients that vanished, with the advisory locks
that they held. The client gives up a server that does not answer: TCP notices a peer that is gone, but not a proxy that
acknowledges every byte and passes none on, so that each wait for an answer has a bound of its own.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Engine, ExceptionContext, create_engine, event

T = TypeVar("T")

INTERVAL = 0.1  # seconds between the driver's own looks at signals: its default
# The client notices a vanished server, and the server a vanished client, within some 20 seconds.
_CLIENT_TCP = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
# What a session is set to, whatever the server's own defaults.
_SETTINGS: dict[str, str | int] = {
    "oms.session": "ours",
    "timezone": "UTC",  # times are shown as they come
    "datestyle": "ISO",  # the driver reads no other times
    "client_encoding": "UTF8",
    "default_transaction_isolation": "read committed",  # who waited for a row goes on with what it has become
    "tcp_keepalives_idle": 10,
    "tcp_keepalives_interval": 3,
    "tcp_keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}


@dataclass(frozen=True)
class Limits:
    """How long a session may take, in seconds; 0 means: as long as it likes.

    `pool` is the wait for a connection. A server that should have ended a statement, and has said nothing for `grace`
    more, is taken for gone.
    """

    statement: float = 5.0
    lock: float = 3.0
    idle_in_transaction: float = 10.0
    idle: float = 0.0
    connect: int = 3
    pool: float = 5.0
    grace: float = 2.0

    def at_most(self, **bounds: Any) -> Self:
        """The same, with no more than that for each of these."""
        least: dict[str, Any] = {name: min(getattr(self, name) or bound, bound) for name, bound in bounds.items()}
        return replace(self, **least)

    @property
    def answer(self) -> float | None:
        """How long the client waits for an answer."""
        return self.statement + self.grace if self.statement else None


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed, and fails with OperationalError, when an answer takes longer than `bound` seconds.

    Everything that waits for the server goes through `wait`, also commits and rollbacks.
    """

    bound: float | None = Limits().answer

    def wait(self, gen: PQGen[T], interval: float = INTERVAL, timeout: float | None = None) -> T:
        """What the generator returns."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.bound)
        except psycopg.errors._WaitTimeout:  # noqa: SLF001 - the driver offers its timeout, and no public name for it
            self.pgconn.finish()
            raise psycopg.OperationalError("the server did not answer in time") from None

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Wait for no answer longer than that during the block."""
        usual, self.bound = self.bound, seconds
        try:
            yield
        finally:
            self.bound = usual


def _settings(limits: Limits) -> dict[str, str | int]:
    return {
        **_SETTINGS,
        "statement_timeout": round(limits.statement * 1000),
        "lock_timeout": round(limits.lock * 1000),
        "idle_in_transaction_session_timeout": round(limits.idle_in_transaction * 1000),
        "idle_session_timeout": round(limits.idle * 1000),
    }


def arguments(limits: Limits, url: str = "") -> dict[str, Any]:
    """What to connect with. What the URL's own query says goes first."""
    ours, given = {"connect_timeout": limits.connect, "application_name": "oms"}, conninfo_to_dict(url)
    if "," in str(given.get("host")):
        ours["target_session_attrs"] = "read-write"
    return {**ours, **_CLIENT_TCP, **given}


class SessionNotOurs(psycopg.InterfaceError):
    """The database is behind a pooler that a service cannot work with; the message says what to do."""

    def __init__(self) -> None:
        super().__init__(
            "OMS_DATABASE_URL leads to a pooler whose clients share sessions: connect to Postgres itself, or to one in"
            " session mode (PgBouncer: pool_mode=session, server_reset_query=DISCARD ALL)"
        )


# The mark of whoever had the session before, then all settings, of which it is one. Whether it may write is asked: a
# pooler goes on to say what a server said of itself before it was promoted.
_BEGIN = """
SELECT current_setting('oms.session', true) AS mark, current_setting('transaction_read_only')::boolean AS only_reads,
    (SELECT count(set_config(key, value, false)) FROM json_each_text(%s::json))
"""


def connect(url: str, limits: Limits) -> BoundedConnection:
    """A session with its bounds. Raises SessionNotOurs if it has been somebody else's, psycopg.Error."""
    connection = BoundedConnection.connect(autocommit=True, **arguments(limits, url))
    try:
        with connection.within(limits.connect):
            begin(connection, limits)
        connection.autocommit = False
    except psycopg.Error:
        connection.close()
        raise
    connection.bound = limits.answer
    return connection


def begin(connection: psycopg.Connection[Any], limits: Limits) -> None:
    """Give a session its settings. By a statement: PgBouncer knows no startup parameter `options`."""
    [(mark, only_reads, _)] = connection.execute(_BEGIN, [json.dumps(_settings(limits))])
    if mark:
        raise SessionNotOurs
    if only_reads:  # as one that was demoted: it is no database of ours
        raise psycopg.OperationalError("the server takes no writes")


def engine(url: str, pool: int, limits: Limits) -> Engine:
    """An engine of at most `pool` connections, each of them bounded."""
    made = create_engine(
        "postgresql+psycopg://",
        pool_size=pool,
        max_overflow=0,
        pool_timeout=limits.pool,
        pool_use_lifo=True,  # what was used last is warm, and needs no ping
        hide_parameters=True,
    )
    event.listen(made, "do_connect", lambda *_: connect(url, limits))
    event.listen(made, "handle_error", _judge)
    return made


_NOTHING_DONE = {"25006", "0A000"}  # SQLSTATEs of statements that were refused before they did anything


def _judge(context: ExceptionContext) -> None:
    """Throw away connections that are no use any more, and mark errors that leave a write's outcome open.

    With a connection goes every other one of its age: they lead to the same server.
    """
    error, connection = context.original_exception, context.connection
    state = getattr(error, "sqlstate", None) or ""
    if state == "25006" or state.startswith("57P") or _is_stale(error):  # it may only read; it is being shut down
        context.is_disconnect = True
    if connection is None or not context.is_disconnect or state in _NOTHING_DONE:
        return
    is_autocommit = connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"
    if is_autocommit or context.statement is None:  # without a statement, it was the commit
        error.leaves_outcome_open = True  # type: ignore[attr-defined] # read below


def _is_stale(error: BaseException) -> bool:
    """Whether what was prepared on this connection no longer fits the schema, as after a column's type has changed."""
    diagnosis = getattr(error, "diag", None)
    return diagnosis is not None and diagnosis.source_function == "RevalidateCachedQuery"


def leaves_outcome_open(error: BaseException | None) -> bool:
    """Whether the server was asked to commit, and its answer was lost: what was written may be there or not."""
    return bool(getattr(getattr(error, "orig", error), "leaves_outcome_open", False))
