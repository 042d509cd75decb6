"""The simulator's books: every charge and refund once per idempotency key, in a Postgres schema of their own.

A real gateway's books survive whatever happens to the services that call it, so these do, too. The functions at the
end read them for tests that prove that the money adds up.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import LiteralString, TypeVar

import psycopg
from psycopg.rows import kwargs_row
from psycopg_pool import ConnectionPool

from oms_chassis.sessions import BoundedConnection, Limits, arguments, begin
from oms_chassis.statements import as_json
from oms_gateway.contract import Charge, Dispute, FailedRefund, Refund, RefundStatus
from oms_gateway.errors import GatewayUnavailable, OutcomeUnknown, RequestRefused
from oms_simulators.payment import statements
from oms_simulators.payment.groupcommit import GroupCommit

Entry = TypeVar("Entry", Charge, Refund)
Found = TypeVar("Found")
Values = dict[str, str | float | bool | None]
WhenLost = type[OutcomeUnknown | GatewayUnavailable]

_LIMIT = 8  # connections: callers beyond that wait
_LIMITS = Limits(statement=2.0, lock=2.0, grace=1.0)  # short, because asking for an unknown outcome costs little


class Ledger:
    """The books as the simulator writes them. Connects at the first call."""

    def __init__(self, url: str) -> None:
        self._pool = ConnectionPool(
            url,
            connection_class=BoundedConnection,
            kwargs={"autocommit": True, **arguments(_LIMITS)},
            min_size=0,
            max_size=_LIMIT,
            timeout=5.0,
            open=False,
            configure=self._prepare,
        )
        self._lock = threading.Lock()
        self._is_made = False
        self._charging = GroupCommit(self._charge_all, lambda error: not isinstance(error, psycopg.Error))
        self.close = self._pool.close

    def charge(self, key: str, charge: Charge) -> Charge:
        """Enter the charge, unless the key has one, and return the key's charge. Raises Retryable."""
        return _present(self._charging.submit(key, charge))

    def take_back(self, key: str) -> None:
        """Enter that the customer's bank has taken back the charge under this key. Raises Retryable."""
        self._row(Charge, statements.TAKE_BACK, {"key": key}, OutcomeUnknown)

    def refund(
        self, key: str, refund: Refund, seconds: float = 0.0, meanwhile: RefundStatus = RefundStatus.PENDING
    ) -> Refund:
        """Enter the refund, unless the key has one, and return the key's refund. For `seconds`, it has the status
        `meanwhile`, and then the one that was entered. Raises RequestRefused and Retryable."""
        values: Values = {"key": key, "seconds": seconds, "meanwhile": meanwhile, **vars(refund)}
        with (
            self._connection(OutcomeUnknown) as connection,
            connection.transaction(),
            connection.cursor(row_factory=kwargs_row(_refund)) as cursor,
        ):
            connection.execute(statements.LOCK_CHARGE, values)
            entry = cursor.execute(statements.REFUND, values).fetchone()
        return _present(entry)

    def find_charge(self, key: str) -> Charge | None:
        """The charge under this key. Raises GatewayUnavailable."""
        return self._row(Charge, statements.FIND_CHARGE, {"key": key}, GatewayUnavailable)

    def find_refund(self, key: str) -> Refund | None:
        """The refund under this key. Raises GatewayUnavailable."""
        return self._row(_refund, statements.FIND_REFUND, {"key": key}, GatewayUnavailable)

    def refunds_of(self, charge_id: str) -> list[Refund]:
        """The refunds of this charge. Raises GatewayUnavailable."""
        return self._rows(_refund, statements.REFUNDS_OF, {"charge_id": charge_id})

    def disputes(self, days: float) -> list[Dispute]:
        """The charges that were taken back in the last `days` days. Raises GatewayUnavailable."""
        return self._rows(Dispute, statements.DISPUTES, {"days": round(days)})

    def failed_refunds(self, days: float) -> list[FailedRefund]:
        """The refunds that failed in the last `days` days. Raises GatewayUnavailable."""
        return self._rows(FailedRefund, statements.FAILED_REFUNDS, {"days": round(days)})

    def record_first_attempt(self, key: str) -> bool:
        """Whether this is the first call with the key to a card whose first call fails. Raises GatewayUnavailable."""
        with self._connection(GatewayUnavailable) as connection:
            return connection.execute(statements.FAIL, {"key": key}).rowcount == 1

    def _charge_all(self, charges: Mapping[str, Charge]) -> Mapping[str, Charge]:
        rows = as_json([{"key": key, **vars(charge)} for key, charge in charges.items()])
        with self._connection(OutcomeUnknown) as connection:
            entered = connection.execute(statements.CHARGE, {"rows": rows}).fetchall()
        return {key: Charge(*fields) for key, *fields in entered}

    def _row(self, kind: Callable[..., Entry], sql: LiteralString, values: Values, when_lost: WhenLost) -> Entry | None:
        with self._connection(when_lost) as connection, connection.cursor(row_factory=kwargs_row(kind)) as cursor:
            return cursor.execute(sql, values).fetchone()

    def _rows(self, kind: Callable[..., Found], sql: LiteralString, values: Values) -> list[Found]:
        with (
            self._connection(GatewayUnavailable) as connection,
            connection.cursor(row_factory=kwargs_row(kind)) as cursor,
        ):
            return cursor.execute(sql, values).fetchall()

    @contextmanager
    def _connection(self, when_lost: WhenLost) -> Iterator[psycopg.Connection]:
        try:
            self._pool.open()
            connection = self._pool.getconn()
        except psycopg.OperationalError as error:
            raise GatewayUnavailable("the simulator's ledger cannot be reached") from error
        try:
            yield connection
        except psycopg.OperationalError as error:
            self._pool.drain()  # whatever broke this connection broke the idle ones, too
            raise when_lost("the simulator's ledger went away during the call") from error
        finally:
            self._pool.putconn(connection)

    def _prepare(self, connection: BoundedConnection) -> None:
        connection.bound = _LIMITS.answer
        begin(connection, _LIMITS)
        with self._lock:
            if not self._is_made:
                connection.execute(statements.SCHEMA)
                self._is_made = True


def _refund(id: str, charge_id: str, amount: int, status: str) -> Refund:  # noqa: A002 - the column's name
    return Refund(id, charge_id, amount, RefundStatus(status))


def _present(entry: Entry | None) -> Entry:
    if entry is None:
        raise RequestRefused("there is no approved charge of which so much is left")
    return entry


def charges_by_order(url: str) -> dict[str, list[Charge]]:
    """Return every charge of every order, also declined ones, and those that were not made with the order's key."""
    return _by_order(url, Charge, "id, approved, amount, currency, reason", "charge")


def refunds_by_order(url: str) -> dict[str, list[Refund]]:
    """Return every refund of every order, except those that have failed."""
    found = _by_order(url, _refund, statements.SHOWN, "refund")
    return {
        order: [one for one in refunds if one.status is not RefundStatus.FAILED] for order, refunds in found.items()
    }


def requested_refunds(url: str) -> dict[str, list[str]]:
    """Return, by the id of each requested refund, the gateway's ids of the refunds that were made for it."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    with psycopg.connect(url) as connection:
        if _is_there(connection, "refund"):
            for refund_id, gateway_id in connection.execute(statements.REQUESTED):
                found[refund_id].append(gateway_id)
    return dict(found)


def net_by_order(url: str) -> dict[str, int]:
    """Return what each order's customer has paid in the end: approved charges less refunds, in minor units."""
    net = {order: sum(c.amount for c in charges if c.approved) for order, charges in charges_by_order(url).items()}
    for order, refunds in refunds_by_order(url).items():
        net[order] = net.get(order, 0) - sum(refund.amount for refund in refunds)
    return net


def _by_order(
    url: str, kind: Callable[..., Entry], columns: LiteralString, table: LiteralString
) -> dict[str, list[Entry]]:
    found: defaultdict[str, list[Entry]] = defaultdict(list)
    with psycopg.connect(url) as connection:
        if not _is_there(connection, table):
            return {}
        sql = f"SELECT split_part(key, ':', 1), {columns} FROM gateway_simulator.{table} ORDER BY made_at, key"
        for order, *fields in connection.execute(sql):
            found[order].append(kind(*fields))
    return dict(found)


def _is_there(connection: psycopg.Connection, table: LiteralString) -> bool:
    return connection.execute(f"SELECT to_regclass('gateway_simulator.{table}')").fetchone() != (None,)
