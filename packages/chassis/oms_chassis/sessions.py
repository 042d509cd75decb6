"""Sessions with Postgres, none of which waits without a bound, whatever becomes of the server, a lock or the network.

The server bounds statements, locks and idle transactions, and gives up clients that vanished, with the advisory locks
that they held. The client gives up a server that does not answer: TCP notices a peer that is gone, but not a proxy that
acknowledges every byte and passes none on, so that each wait for an answer has a bound of its own.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import psycopg
from psycopg.abc import PQGen
from sqlalchemy import URL, Engine, ExceptionContext, create_engine, event, make_url

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
_SERVER_TCP = {
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
        least: dict[str, Any] = {name: _least(getattr(self, name), bound) for name, bound in bounds.items()}
        return replace(self, **least)

    @property
    def answer(self) -> float | None:
        """How long the client waits for an answer."""
        return self.statement + self.grace if self.statement else None


def _least(ours: float, other: float) -> float:
    return min(ours, other) if ours else other


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


def arguments(limits: Limits, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What to connect with. What the URL's own query says goes first."""
    given = dict(query or {})
    bounds = {
        "statement_timeout": round(limits.statement * 1000),
        "lock_timeout": round(limits.lock * 1000),
        "idle_in_transaction_session_timeout": round(limits.idle_in_transaction * 1000),
        "idle_session_timeout": round(limits.idle * 1000),
        "oms.session": "ours",  # by which a pooler that drops all this is recognised: see `poolers`
        "timezone": "UTC",  # whatever the server's: times are shown as they come
        **_SERVER_TCP,
    }
    options = " ".join([*(f"-c {name}={value}" for name, value in bounds.items()), str(given.pop("options", ""))])
    # A server that takes no writes, as one that was demoted, is no database of ours.
    ours = {"connect_timeout": limits.connect, "application_name": "oms", "target_session_attrs": "read-write"}
    return {**ours, **_CLIENT_TCP, **given, "options": options.strip()}


def engine(url: str, pool: int, limits: Limits) -> Engine:
    """An engine of at most `pool` connections, each of them bounded."""
    address: URL = make_url(url.replace("postgresql://", "postgresql+psycopg://", 1))
    made = create_engine(
        address,
        pool_size=pool,
        max_overflow=0,
        pool_timeout=limits.pool,
        pool_use_lifo=True,  # what was used last is warm, and needs no ping
        hide_parameters=True,
        connect_args=arguments(limits, address.query),
    )
    event.listen(made, "do_connect", _connecting(limits))
    event.listen(made, "handle_error", _judge)
    return made


def _connecting(limits: Limits) -> Callable[..., BoundedConnection]:
    def connect(_: Any, __: Any, arguments: Any, settings: Any) -> BoundedConnection:
        connection = BoundedConnection.connect(*arguments, **settings)
        connection.bound = limits.answer
        return connection

    return connect


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
        error.leaves_outcome_open = True  # type: ignore[attr-defined] # read by db.leaves_outcome_open


def _is_stale(error: BaseException) -> bool:
    """Whether what was prepared on this connection no longer fits the schema, as after a column's type has changed."""
    diagnosis = getattr(error, "diag", None)
    return diagnosis is not None and diagnosis.source_function == "RevalidateCachedQuery"


def leaves_outcome_open(error: BaseException | None) -> bool:
    """Whether the server was asked to commit, and its answer was lost: what was written may be there or not."""
    return bool(getattr(getattr(error, "orig", error), "leaves_outcome_open", False))
