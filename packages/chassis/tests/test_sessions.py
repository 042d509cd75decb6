"""Sessions with Postgres have limits, whatever happens to the server, a lock or the network."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy.exc import SQLAlchemyError
from support.chassis import chassis_only, eventually
from support.network import Proxy, proxy
from support.pooler import Pooler, imitated, pgbouncer

from oms_chassis import db
from oms_chassis.db import Database
from oms_chassis.failures import is_unavailable
from oms_chassis.sessions import Limits, connect, leaves_outcome_open
from oms_chassis.settings import Settings
from oms_chassis.statements import execute

QUICK = Limits(statement=1.0, lock=0.5, idle_in_transaction=1.0)


@pytest.fixture
def network(database_url: str) -> Iterator[Proxy]:
    chassis_only(database_url).dispose()
    with proxy(database_url) as network:
        yield network


@pytest.fixture
def far(network: Proxy, database_url: str) -> Iterator[Database]:
    """A database behind the proxy, with a connection in its pool."""
    database = Database(network.url(database_url), 2, QUICK)
    database.execute("SELECT 1")
    yield database
    database.dispose()


def failure(act: Callable[[], object]) -> SQLAlchemyError:
    with pytest.raises(SQLAlchemyError) as caught:
        act()
    return caught.value


def test_a_server_that_falls_silent_is_given_up_and_the_next_statement_works(network: Proxy, far: Database) -> None:
    network.blackhole()
    began = time.monotonic()
    error = failure(lambda: far.execute("SELECT 1"))
    assert time.monotonic() - began < 10
    assert is_unavailable(error)
    assert far.execute("SELECT 1 AS one")[0].one == 1


def test_a_pooled_connection_that_fell_silent_is_replaced_without_a_failure(
    network: Proxy, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "PING_AFTER_IDLE", 0.0)
    far = Database(network.url(database_url), 1, Limits(statement=60.0))
    far.execute("SELECT 1")
    network.blackhole()
    began = time.monotonic()
    assert far.execute("SELECT 1 AS one")[0].one == 1
    assert time.monotonic() - began < 10
    far.dispose()


def test_a_commit_whose_answer_is_lost_ends_too(network: Proxy, far: Database) -> None:
    def write() -> None:
        with far.transaction() as transaction:
            transaction.execute("INSERT INTO inbox (event_id) VALUES ('a')")
            network.mute()

    error = failure(write)
    assert is_unavailable(error)
    assert leaves_outcome_open(error)
    assert far.execute("SELECT count(*) AS n FROM inbox")[0].n == 1


def test_a_transaction_that_loses_its_connection_before_the_commit_leaves_nothing_open(
    network: Proxy, far: Database
) -> None:
    def write() -> None:
        with far.transaction() as transaction:
            network.cut()
            transaction.execute("INSERT INTO inbox (event_id) VALUES ('a')")

    error = failure(write)
    assert is_unavailable(error)
    assert not leaves_outcome_open(error)


def test_an_autocommitted_statement_that_gets_no_answer_may_have_been_done(network: Proxy, far: Database) -> None:
    network.mute()
    assert leaves_outcome_open(failure(lambda: far.execute("INSERT INTO inbox (event_id) VALUES ('a')")))


def test_a_server_that_cannot_be_reached_leaves_nothing_open(network: Proxy, database_url: str) -> None:
    network.refuse()
    far = Database(network.url(database_url), 1, QUICK)
    error = failure(lambda: far.execute("SELECT 1"))
    assert is_unavailable(error)
    assert not leaves_outcome_open(error)


@pytest.mark.parametrize("sql", ["SELECT pg_sleep(30)", "LOCK TABLE inbox"])
def test_the_server_ends_a_long_statement_and_a_long_wait_for_a_lock(
    far: Database, database_url: str, sql: str
) -> None:
    with psycopg.connect(database_url) as other, far.engine.connect() as connection:
        other.execute("LOCK TABLE inbox")
        began = time.monotonic()
        error = failure(lambda: execute(connection, sql, {}))
        assert time.monotonic() - began < 10
        assert is_unavailable(error)
        assert not leaves_outcome_open(error)


def test_the_server_gives_up_a_transaction_that_does_nothing(far: Database, database_url: str) -> None:
    alive = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'oms' AND datname = current_database()"

    def idle() -> None:
        with far.engine.connect() as connection, psycopg.connect(database_url, autocommit=True) as other:
            execute(connection, "SELECT 1", {})
            eventually(lambda: other.execute(alive).fetchone() == (0,), within=20)

    assert is_unavailable(failure(idle))


def test_the_server_notices_a_client_that_vanished_within_half_a_minute(far: Database) -> None:
    shown = {name: int(far.execute(f"SHOW tcp_keepalives_{name}")[0][0]) for name in ("idle", "interval", "count")}
    assert shown["idle"] + shown["interval"] * shown["count"] <= 30


def test_parameters_in_the_url_take_precedence_except_over_our_limits(database_url: str) -> None:
    """These are settings of the service, which the client applies as well."""
    asked = "-c search_path=mine -c statement_timeout=7s".replace(" ", "%20").replace("=", "%3D")
    database = Database(f"{database_url}?application_name=mine&options={asked}", 1)
    names = ("application_name", "search_path", "statement_timeout", "lock_timeout")
    assert [database.execute(f"SHOW {name}")[0][0] for name in names] == ["mine", "mine", "5s", "3s"]
    database.dispose()


def test_a_url_may_name_several_servers_of_which_one_takes_writes(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMS_DATABASE_URL", database_url.replace("@", "@127.0.0.1:1,"))
    monkeypatch.setenv("OMS_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    database = Database(Settings().database_url, 1)
    assert database.execute("SELECT 1 AS one")[0].one == 1
    database.dispose()


@pytest.mark.parametrize(
    ("default", "shown"),
    [
        ("DateStyle = German", "SELECT pg_typeof(x)::text, x FROM (SELECT to_timestamp(0) AS x)"),
        ("default_transaction_isolation = serializable", "SHOW transaction_isolation"),
        ("client_encoding = LATIN1", "SELECT '李'"),
        ("TimeZone = 'Asia/Kolkata'", "SHOW timezone"),
    ],
)
def test_a_server_s_own_defaults_change_nothing(database_url: str, default: str, shown: str) -> None:
    usual, other = Database(database_url, 1), Database(database_url, 1)
    expected = usual.execute(shown)
    usual.execute(f'ALTER DATABASE "{database_url.rpartition("/")[2]}" SET {default}')
    assert other.execute(shown) == expected
    usual.dispose()
    other.dispose()


def test_a_connection_that_may_only_read_is_replaced(database_url: str) -> None:
    """As after a failover whose old server is still running: its sessions answer, but accept no writes."""
    database = chassis_only(database_url)
    write = "INSERT INTO inbox (event_id) VALUES ('a') ON CONFLICT DO NOTHING"
    with database.autocommit() as one, database.autocommit() as other:
        for demoted in (one, other):
            execute(demoted, "SET default_transaction_read_only = on", {})
    error = failure(lambda: database.execute(write))
    assert is_unavailable(error)
    assert not leaves_outcome_open(error)
    for _ in range(2):
        with database.autocommit() as one, database.autocommit() as other:
            execute(one, write, {})
            execute(other, write, {})
    database.dispose()


@contextmanager
def read_only(url: str) -> Iterator[None]:
    """A server that accepts no writes for a while, as before its promotion."""
    default = "ALTER SYSTEM {} default_transaction_read_only {}"
    with psycopg.connect(url, autocommit=True, options="-c default_transaction_read_only=off") as admin:
        admin.execute(default.format("SET", "= on").encode())
        try:
            admin.execute("SELECT pg_reload_conf()")
            eventually(lambda: not takes_writes(url))
            yield
        finally:
            admin.execute(default.format("RESET", "").encode())
            admin.execute("SELECT pg_reload_conf()")


def takes_writes(url: str) -> bool:
    try:
        connect(url, QUICK).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.mark.parametrize("pooler", [imitated, pgbouncer])
def test_a_server_is_ours_as_long_as_it_takes_writes_whatever_a_pooler_remembers_of_it(
    database_url: str, pooler: Pooler
) -> None:
    with pooler(database_url, "session") as url:
        with read_only(database_url):
            assert not takes_writes(url)
        eventually(lambda: takes_writes(url))
        with read_only(database_url):
            eventually(lambda: not takes_writes(url))
        eventually(lambda: takes_writes(url))


def test_reserved_connections_are_available_when_all_others_are_taken(database_url: str) -> None:
    database = Database(database_url, 3)
    mine = database.reserve()
    with database.autocommit(), database.autocommit():
        assert mine.execute("SELECT 1 AS one")[0].one == 1
    assert database.engine.pool.size() + mine.engine.pool.size() == 3  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="cannot spare"):
        database.reserve(2)
    database.dispose()
