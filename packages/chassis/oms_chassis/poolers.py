"""Poolers between a service and Postgres. A session has to be ours for as long as we are connected.

The relay leads by an advisory lock of its session, which commits without waiting for a disk, and every wait is bounded
by settings of the session. A pooler that gives each transaction the server's session that is free (PgBouncer's
transaction mode), or a client the session as the last one left it, breaks all of it silently: two relays lead, or none,
and orders are written by the relay's settings.
"""

from contextlib import ExitStack

from oms_chassis.sessions import Limits, connect

# That are open at once, of which a process has as many at least: with fewer poolers behind one address, two of these
# connections go by the same one.
CONNECTIONS = 5


def check(url: str) -> None:
    """Raise SessionNotOurs if sessions are shared, psycopg.OperationalError if the database is away."""
    connect(url, Limits()).close()
    with ExitStack() as opened:
        for _ in range(CONNECTIONS):
            opened.enter_context(connect(url, Limits()))
