"""The few connections that the simulator's threads share."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, LifoQueue
from typing import LiteralString

import psycopg

from oms_gateway.errors import GatewayUnavailable

_LIMIT = 8  # connections: callers beyond that wait, so that the server's own limit is never met

# The ledger stands for a server elsewhere, so it must not cost this machine a disk flush per charge. It outlives the
# death of any client; a crash of its Postgres may take the last fraction of a second with it, but in the default
# set-up never a charge that the payment service has recorded, because that later commit flushes both.
_OPTIONS = "-c synchronous_commit=off -c statement_timeout=10000"


class Connections:
    """A few connections in autocommit mode, opened when first needed; each serves one thread at a time."""

    def __init__(self, url: str, schema: LiteralString) -> None:
        self._url = url
        self._schema = schema
        self._idle: LifoQueue[psycopg.Connection] = LifoQueue()
        self._lock = threading.Lock()
        self._free = threading.BoundedSemaphore(_LIMIT)
        self._ready = False

    @contextmanager
    def one(self) -> Iterator[psycopg.Connection]:
        """A connection for the caller alone. Raises GatewayUnavailable if there is none to be had."""
        with self._free:
            connection = self._take()
            try:
                yield connection
            except BaseException:
                # After a fault the other idle ones are most likely dead too: a restarted server broke all of them.
                connection.close()
                self.close()
                raise
            self._idle.put(connection)

    def close(self) -> None:
        """Close what is idle."""
        self._ready = False
        while True:
            try:
                self._idle.get_nowait().close()
            except Empty:
                return

    def _take(self) -> psycopg.Connection:
        try:
            return self._idle.get_nowait()
        except Empty:
            return self._open()

    def _open(self) -> psycopg.Connection:
        try:
            connection = psycopg.connect(
                self._url, autocommit=True, connect_timeout=5, options=_OPTIONS, application_name="gateway_simulator"
            )
            self._make_schema(connection)
        except psycopg.OperationalError as error:
            raise GatewayUnavailable("the simulator's ledger cannot be reached") from error
        return connection

    def _make_schema(self, connection: psycopg.Connection) -> None:
        with self._lock:
            if not self._ready:
                connection.execute(self._schema)
                self._ready = True
