"""Detects connection poolers that share sessions: a service needs each session to itself while it is connected.

The relay's leadership is an advisory lock of its session, which also commits without waiting for the disk; and the
limits of every wait are settings of the session. A pooler that assigns a free session to each transaction (PgBouncer's
transaction mode), or passes on a session without resetting it, breaks all of that silently: two relays lead, or none,
and orders are written with the relay's settings.
"""

from contextlib import ExitStack

from oms_chassis.sessions import Limits, connect

# Open at once, as many as a process has at least: if fewer poolers than that share one address, two of the connections
# meet at the same pooler.
CONNECTIONS = 5


def check(url: str) -> None:
    """Raise SessionNotOurs if sessions are shared, psycopg.OperationalError if the database is unavailable."""
    connect(url, Limits()).close()
    with ExitStack() as opened:
        for _ in range(CONNECTIONS):
            opened.enter_context(connect(url, Limits()))
