"""Postgres sessions in which every wait has a limit, whatever happens to the server, a lock or the network.

The server limits statements, locks and idle transactions, and drops clients that have vanished, with the advisory locks
that they held. The client drops a server that does not answer. TCP detects a dead peer, but not a proxy that
acknowledges every byte and forwards none, so each wait for an answer has a limit of its own.
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

INTERVAL = 0.1  # seconds between the driver's checks for signals: its default
# The client notices a vanished server, and the server a vanished client, within some 20 seconds.
_CLIENT_TCP = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
# The settings of every session, whatever the server's defaults are.
_SETTINGS: dict[str, str | int] = {
    "oms.session": "ours",
    "timezone": "UTC",  # times are shown as they are returned
    "datestyle": "ISO",  # the driver can parse no other style
    "client_encoding": "UTF8",
    "default_transaction_isolation": "read committed",  # after waiting for a lock, the row's new version is used
    "tcp_keepalives_idle": 10,
    "tcp_keepalives_interval": 3,
    "tcp_keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}


@dataclass(frozen=True)
class Limits:
    """How long a session may wait for each of these, in seconds; 0 means without a limit.

    `pool` limits the wait for a connection. A server that should have ended a statement, and still does not answer
    `grace` seconds later, counts as gone.
    """

    statement: float = 5.0
    lock: float = 3.0
    idle_in_transaction: float = 10.0
    idle: float = 0.0
    connect: int = 3
    pool: float = 5.0
    grace: float = 2.0

    def at_most(self, **bounds: Any) -> Self:
        """Return the same limits, with each of these lowered to the given bound."""
        least: dict[str, Any] = {name: min(getattr(self, name) or bound, bound) for name, bound in bounds.items()}
        return replace(self, **least)

    @property
    def answer(self) -> float | None:
        """How long the client waits for an answer."""
        return self.statement + self.grace if self.statement else None


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that closes itself and raises OperationalError when an answer takes longer than `bound` seconds.

    Everything that waits for the server goes through `wait`, including commits and rollbacks.
    """

    bound: float | None = Limits().answer

    def wait(self, gen: PQGen[T], interval: float = INTERVAL, timeout: float | None = None) -> T:
        """Run the generator and return its result."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.bound)
        except psycopg.errors._WaitTimeout:  # noqa: SLF001 - the driver has the timeout, but no public name for its error
            self.pgconn.finish()
            raise psycopg.OperationalError("the server did not answer in time") from None

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Wait no longer than this for any answer during the block."""
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
    """Return the connection's parameters. Those in the URL's query take precedence."""
    ours, given = {"connect_timeout": limits.connect, "application_name": "oms"}, conninfo_to_dict(url)
    if "," in str(given.get("host")):
        ours["target_session_attrs"] = "read-write"
    return {**ours, **_CLIENT_TCP, **given}


class SessionNotOurs(psycopg.InterfaceError):
    """The database is behind a pooler in a mode that does not work for a service; the message says what to do."""

    def __init__(self) -> None:
        super().__init__(
            "OMS_DATABASE_URL leads to a pooler whose clients share sessions: connect to Postgres itself, or to one in"
            " session mode (PgBouncer: pool_mode=session, server_reset_query=DISCARD ALL)"
        )


# Reads the mark that a previous user of the session left, then applies all settings, which include the mark. Asks the
# server whether it is read-only, because a pooler repeats what the server reported before it was promoted.
_BEGIN = """
SELECT current_setting('oms.session', true) AS mark, current_setting('transaction_read_only')::boolean AS only_reads,
    (SELECT count(set_config(key, value, false)) FROM json_each_text(%s::json))
"""


def connect(url: str, limits: Limits) -> BoundedConnection:
    """Open a session with its limits. Raises SessionNotOurs if it was used by another client before, psycopg.Error."""
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
    """Apply the settings to a session, by a statement, since PgBouncer rejects the startup parameter `options`."""
    [(mark, only_reads, _)] = connection.execute(_BEGIN, [json.dumps(_settings(limits))])
    if mark:
        raise SessionNotOurs
    if only_reads:  # such as a primary that was demoted
        raise psycopg.OperationalError("the server takes no writes")


def engine(url: str, pool: int, limits: Limits) -> Engine:
    """Return an engine with at most `pool` connections, whose waits are all limited."""
    made = create_engine(
        "postgresql+psycopg://",
        pool_size=pool,
        max_overflow=0,
        pool_timeout=limits.pool,
        pool_use_lifo=True,  # the connection that was used last is warm, and needs no ping
        hide_parameters=True,
    )
    event.listen(made, "do_connect", lambda *_: connect(url, limits))
    event.listen(made, "handle_error", _judge)
    return made


_NOTHING_DONE = {"25006", "0A000"}  # SQLSTATEs of statements that were rejected before they did anything


def _judge(context: ExceptionContext) -> None:
    """Discard connections that cannot be used any more, and mark errors that leave the outcome of a write open.

    All connections that were opened before go with it: they lead to the same server.
    """
    error, connection = context.original_exception, context.connection
    state = getattr(error, "sqlstate", None) or ""
    if state == "25006" or state.startswith("57P") or _is_stale(error):  # read-only; shutting down
        context.is_disconnect = True
    if connection is None or not context.is_disconnect or state in _NOTHING_DONE:
        return
    is_autocommit = connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"
    if is_autocommit or context.statement is None:  # without a statement, it was the commit
        error.leaves_outcome_open = True  # type: ignore[attr-defined] # read below


def _is_stale(error: BaseException) -> bool:
    """Whether a prepared statement of this connection no longer fits the schema, as after a column changed its type."""
    diagnosis = getattr(error, "diag", None)
    return diagnosis is not None and diagnosis.source_function == "RevalidateCachedQuery"


def leaves_outcome_open(error: BaseException | None) -> bool:
    """Whether the answer to a commit was lost, so that it is not known whether the write was committed."""
    return bool(getattr(getattr(error, "orig", error), "leaves_outcome_open", False))
