"""Poolers between a service and Postgres: what would break silently is refused at the start, with a sentence."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.chassis import chassis_only
from support.pooler import pooler

from oms_chassis import poolers
from oms_chassis.db import Database
from oms_chassis.poolers import SessionNotOurs
from oms_chassis.runtime.cli import main
from oms_chassis.runtime.service import Components, Service
from oms_chassis.settings import Settings
from oms_servers.testing import temporary_folder

KEPT = "SET oms.session TO ours"


@pytest.fixture
def folder() -> Iterator[Path]:
    with temporary_folder() as folder:
        yield folder


def refusal(url: str) -> str:
    """Why the database is refused."""
    database = Database(url, 2)
    try:
        with pytest.raises(SessionNotOurs) as refused:
            poolers.check(database)
    finally:
        database.dispose()
    return str(refused.value)


def test_postgres_itself_is_taken(database_url: str) -> None:
    database = Database(database_url, 2)
    poolers.check(database)
    database.dispose()


def test_transaction_pooling_is_refused(database_url: str, folder: Path) -> None:
    with pooler(database_url, folder, "transaction", query=KEPT) as url:
        assert "transaction" in refusal(url)


def test_statement_pooling_is_refused(database_url: str, folder: Path) -> None:
    with pooler(database_url, folder, "statement", query=KEPT) as url:
        assert "transaction" in refusal(url)


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_a_pooler_that_drops_the_bounds_of_a_session_is_refused(database_url: str, folder: Path, mode: str) -> None:
    with pooler(database_url, folder, mode) as url:
        assert "options" in refusal(url)


def test_a_pooler_that_takes_no_options_is_refused(database_url: str, folder: Path) -> None:
    with pooler(database_url, folder, "session", takes_options=False) as url:
        assert "options" in refusal(url)


def test_session_pooling_that_keeps_the_settings_is_taken(database_url: str, folder: Path) -> None:
    with pooler(database_url, folder, "session", query=KEPT) as url:
        database = Database(url, 2)
        poolers.check(database)
        database.dispose()


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_a_service_does_not_start_behind_such_a_pooler(
    database_url: str, folder: Path, command: str, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    chassis_only(database_url).dispose()
    service = Service("test", "oms_test", Settings, lambda _: Components())
    with pooler(database_url, folder, "transaction", query=KEPT) as url:
        monkeypatch.setenv("OMS_DATABASE_URL", url)
        monkeypatch.setenv("OMS_KAFKA_BOOTSTRAP", "127.0.0.1:1")
        assert main(service, [command]) == 2
    captured = capfd.readouterr()
    assert "OMS_DATABASE_URL leads to a pooler" in captured.out + captured.err
