"""Poolers between a service and Postgres: those that would break it silently are refused at the start, with a
message."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy.exc import SQLAlchemyError
from support.chassis import chassis_only
from support.network import proxy
from support.pooler import Pooler, imitated, pgbouncer

from oms_chassis import poolers
from oms_chassis.db import Database
from oms_chassis.failures import is_unavailable
from oms_chassis.runtime.cli import main
from oms_chassis.runtime.service import Components, Service
from oms_chassis.sessions import SessionNotOurs, leaves_outcome_open
from oms_chassis.settings import Settings

SERVICE = Service("test", "oms_test", Settings, lambda _: Components())
BOUNDS = ["5s", "3s", "10s", "UTC"]


@pytest.fixture(params=[imitated, pgbouncer], ids=["imitated", "pgbouncer"])
def pooler(request: pytest.FixtureRequest) -> Pooler:
    made: Pooler = request.param
    return made


def bounds(url: str) -> list[str]:
    """Return the limits of a new session."""
    database = Database(url, 1)
    try:
        names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "timezone")
        return [str(database.execute(f"SHOW {name}")[0][0]) for name in names]
    finally:
        database.dispose()


def test_postgres_itself_is_accepted(database_url: str) -> None:
    poolers.check(database_url)


def test_session_pooling_is_accepted(database_url: str, pooler: Pooler) -> None:
    with pooler(database_url, "session") as url:
        poolers.check(url)
        poolers.check(url)


def test_a_session_has_our_limits_even_if_the_pooler_had_opened_it_before(database_url: str, pooler: Pooler) -> None:
    with pooler(database_url, "session") as url:
        assert bounds(url) == BOUNDS
        assert bounds(url) == BOUNDS


def test_transaction_pooling_is_refused(database_url: str, pooler: Pooler) -> None:
    with pooler(database_url, "transaction") as url, pytest.raises(SessionNotOurs, match="pool_mode=session"):
        poolers.check(url)


def test_statement_pooling_is_refused(database_url: str) -> None:
    with pgbouncer(database_url, "statement") as url, pytest.raises(SessionNotOurs):
        poolers.check(url)


def test_several_poolers_behind_one_address_are_refused_like_one(database_url: str, pooler: Pooler) -> None:
    with ExitStack() as opened:
        urls = [urlsplit(opened.enter_context(pooler(database_url, "transaction"))) for _ in range(3)]
        places = ",".join(f"{url.hostname}:{url.port}" for url in urls)
        everywhere = urls[0]._replace(netloc=f"oms@{places}", query="load_balance_hosts=random").geturl()
        with pytest.raises(SessionNotOurs):
            poolers.check(everywhere)


def test_a_pooler_that_keeps_a_clients_settings_and_locks_is_refused(database_url: str, pooler: Pooler) -> None:
    with pooler(database_url, "session", reset="") as url, pytest.raises(SessionNotOurs, match="server_reset_query"):
        poolers.check(url)


def test_a_shared_session_counts_as_an_unavailable_database_while_a_service_runs(
    database_url: str, pooler: Pooler
) -> None:
    with pooler(database_url, "transaction") as url:
        database = Database(url, 2)
        with database.autocommit(), pytest.raises(SQLAlchemyError) as caught:
            database.execute("SELECT 1")
        database.dispose()
    assert is_unavailable(caught.value)
    assert not leaves_outcome_open(caught.value)


@pytest.mark.parametrize("page", ["README.md", "README.template.md"])
def test_the_chart_s_documents_name_the_settings_that_the_message_does(page: str) -> None:
    named = str(SessionNotOurs()).partition("PgBouncer: ")[2].rstrip(")").split(", ")
    assert len(named) == 2
    text = (Path(__file__).parents[3] / "charts/oms" / page).read_text()
    assert [setting for setting in named if f"`{setting}`" not in text] == []


@pytest.fixture
def started(database_url: str, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> Callable[[str, str], tuple[int, str]]:
    """Run a command with a database, and return the exit code and the output."""
    chassis_only(database_url).dispose()

    def start(command: str, url: str) -> tuple[int, str]:
        monkeypatch.setenv("OMS_DATABASE_URL", url)
        monkeypatch.setenv("OMS_KAFKA_BOOTSTRAP", "127.0.0.1:1")
        code = main(SERVICE, [command])
        captured = capfd.readouterr()
        return code, captured.out + captured.err

    return start


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_a_service_does_not_start_behind_such_a_pooler(
    database_url: str, pooler: Pooler, command: str, started: Callable[[str, str], tuple[int, str]]
) -> None:
    with pooler(database_url, "transaction") as url:
        code, printed = started(command, url)
    assert code == 2
    assert "OMS_DATABASE_URL leads to a pooler" in printed


def test_a_service_does_not_start_either_if_the_pooler_comes_later(
    database_url: str,
    pooler: Pooler,
    started: Callable[[str, str], tuple[int, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pooler(database_url, "transaction") as url, proxy(url) as network:
        network.refuse()
        monkeypatch.setattr("oms_chassis.runtime.waiting.time.sleep", lambda _: network.heal())
        code, printed = started("migrate", network.url(url))
    assert code == 2
    assert "OMS_DATABASE_URL leads to a pooler" in printed
