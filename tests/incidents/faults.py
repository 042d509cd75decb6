"""The faults, each a block at whose end it is over."""

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
    """Servers that vanish: nobody answers, on old connections or new ones, and nothing is closed."""
    for one in proxies:
        one.blackhole(new=True)
    yield
    for one in proxies:
        one.heal()


@contextmanager
def forgotten(proxy: Proxy) -> Iterator[None]:
    """A server that restarted behind a firewall: old connections lead nowhere, new ones work."""
    proxy.half_open()
    yield


@contextmanager
def refusing(proxy: Proxy) -> Iterator[None]:
    """A server whose connections break, and that takes no new ones."""
    proxy.refuse()
    proxy.cut()
    yield
    proxy.heal()


@contextmanager
def slow(proxy: Proxy, seconds: float) -> Iterator[None]:
    """A server that is far away."""
    proxy.delay(seconds)
    yield
    proxy.heal()


@contextmanager
def narrow(proxy: Proxy, bytes_per_second: float) -> Iterator[None]:
    """A server at the end of a thin line."""
    proxy.throttle(bytes_per_second)
    yield
    proxy.heal()


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    """A server that is stopped, and started again."""
    server.stop()
    yield
    server.start()
    server.await_ready()


@contextmanager
def read_only(server: PostgresServer) -> Iterator[None]:
    """A server that was demoted: it takes no writes, on old connections or new ones."""
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
    """A table that somebody else has locked."""
    with psycopg.connect(server.url) as other:
        other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        yield


@contextmanager
def renamed(server: PostgresServer, table: str, column: str) -> Iterator[None]:
    """A column that is missing, as after a migration that went wrong."""
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
    """A table that refuses the rows of one order in eight: their events are dead letters, to be redriven later."""
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
        """The proxy cuts the connections at the fault's end."""


@contextmanager
def answering_503(proxy: Proxy, usual: int) -> Iterator[None]:
    """An HTTP server that is overloaded. `usual` is the port to which the proxy leads otherwise."""
    with serving(_Overloaded(("127.0.0.1", 0), _Unavailable)) as server:
        proxy.redirect(server.server_port)
        yield
        proxy.redirect(usual)


@contextmanager
def killed(server: Server) -> Iterator[None]:
    """A program that ends as in a crash of its machine, and is started again."""
    server.kill()
    yield
    server.start()
    server.await_ready()


@contextmanager
def suspended(server: Server) -> Iterator[None]:
    """A program that stops where it is and goes on later, as on a machine that has too much to do."""
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
    """Connections that break, in the middle of whatever they carry; new ones work."""
    proxy.cut()
    yield


@contextmanager
def of_another_release(service: HttpServer, database: PostgresServer) -> Iterator[None]:
    """A service that is restarted on a schema that a newer release has migrated."""
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
    """Something that is done, and then is there."""
    act()
    yield
