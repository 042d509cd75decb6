"""The faults, each of which lasts for a block."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psutil
import psycopg
from support.network import Proxy
from support.serving import serving

from oms_platform.services import HttpServer
from oms_servers.postgres import PostgresServer
from oms_servers.server import Server


@contextmanager
def silent(*proxies: Proxy) -> Iterator[None]:
    """Let servers vanish: nobody answers, on old or new connections, and nothing is closed."""
    for one in proxies:
        one.blackhole(new=True)
    yield
    for one in proxies:
        one.heal()


@contextmanager
def forgotten(proxy: Proxy) -> Iterator[None]:
    """Let a server restart behind a firewall: old connections lead nowhere, new ones work."""
    proxy.half_open()
    yield


@contextmanager
def refusing(proxy: Proxy) -> Iterator[None]:
    """Let a server's connections break, and refuse new ones."""
    proxy.refuse()
    proxy.cut()
    yield
    proxy.heal()


@contextmanager
def slow(proxy: Proxy, seconds: float) -> Iterator[None]:
    """Delay a server, as if it were far away."""
    proxy.delay(seconds)
    yield
    proxy.heal()


@contextmanager
def narrow(proxy: Proxy, bytes_per_second: float) -> Iterator[None]:
    """Limit the bandwidth to a server."""
    proxy.throttle(bytes_per_second)
    yield
    proxy.heal()


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    """Stop a server, and start it again."""
    server.stop()
    yield
    server.start()
    server.await_ready()


@contextmanager
def read_only(server: PostgresServer) -> Iterator[None]:
    """Demote a server: it accepts no writes, on old or new connections."""
    with psycopg.connect(server.url, autocommit=True) as admin:
        admin.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        admin.execute("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            admin.execute("SET default_transaction_read_only = off")
            admin.execute("ALTER SYSTEM RESET default_transaction_read_only")
            admin.execute("SELECT pg_reload_conf()")


@contextmanager
def locked(server: PostgresServer, table: str) -> Iterator[None]:
    """Lock a table from another session."""
    with psycopg.connect(server.url) as other:
        other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        yield


@contextmanager
def renamed(server: PostgresServer, table: str, column: str) -> Iterator[None]:
    """Rename a column, so that it is missing as after a failed migration."""
    server.run(f"ALTER TABLE {table} RENAME COLUMN {column} TO {column}_away", "oms")
    yield
    server.run(f"ALTER TABLE {table} RENAME COLUMN {column}_away TO {column}", "oms")


REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'refused' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW
WHEN (right(NEW.order_id::text, 1) IN ('e', 'f')) EXECUTE FUNCTION refuse()
"""


@contextmanager
def refusing_some(server: PostgresServer, table: str) -> Iterator[None]:
    """Let a table refuse the rows of one order in eight: their events become dead letters, to be redriven later."""
    server.run(REFUSE.format(table=table), "oms")
    try:
        yield
    finally:
        server.run("DROP FUNCTION refuse CASCADE", "oms")


class _Unavailable(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that it overrides
        pass


class _Overloaded(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore errors: the proxy cuts the connections at the end of the fault."""


@contextmanager
def answering_503(proxy: Proxy, usual: int) -> Iterator[None]:
    """Put an overloaded HTTP server in place of another. `usual` is the port to which the proxy normally leads."""
    with serving(_Overloaded(("127.0.0.1", 0), _Unavailable)) as server:
        proxy.redirect(server.server_port)
        yield
        proxy.redirect(usual)


@contextmanager
def killed(server: Server) -> Iterator[None]:
    """Kill a program, as in a crash of its machine, and start it again."""
    server.kill()
    yield
    server.start()
    server.await_ready()


@contextmanager
def suspended(server: Server) -> Iterator[None]:
    """Suspend a program and let it continue later, as on an overloaded machine."""
    programs = _programs(server)
    for one in programs:
        one.suspend()
    yield
    for one in programs:
        with suppress(psutil.NoSuchProcess):
            one.resume()


def _programs(server: Server) -> list[psutil.Process]:
    if server.pid is None:
        return []
    main = psutil.Process(server.pid)
    return [main, *main.children(recursive=True)]


@contextmanager
def cut(proxy: Proxy) -> Iterator[None]:
    """Break connections in the middle of whatever they carry; new ones work."""
    proxy.cut()
    yield


@contextmanager
def of_another_release(service: HttpServer, database: PostgresServer) -> Iterator[None]:
    """Restart a service on a schema that a newer release has migrated."""
    with psycopg.connect(database.url) as connection:
        (version,) = connection.execute("SELECT version_num FROM alembic_version").fetchone() or ("",)
    database.run("UPDATE alembic_version SET version_num = '9999_next'", "oms")
    try:
        service.restart()
        yield
    finally:
        database.run(f"UPDATE alembic_version SET version_num = '{version}'", "oms")


@contextmanager
def at_once(act: Callable[[], object]) -> Iterator[None]:
    """Do something at the beginning of the block."""
    act()
    yield
