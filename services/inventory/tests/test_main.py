"""How the service is put together, and what it puts into its catalogue at the start."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from support.chassis import pending_events
from support.stock import stock

from oms_chassis import migrations
from oms_chassis.db import Database
from oms_chassis.runtime.cli import main
from oms_chassis.runtime.service import Context
from oms_contracts.topics import ITEM_UPDATED
from oms_inventory.main import SERVICE
from oms_inventory.settings import InventorySettings

CATALOGUE = [{"id": "a", "name": "A", "unitPrice": 100, "onHand": 5}, {"id": "b", "name": "B", "unitPrice": 200}]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMS_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nowhere")
    monkeypatch.setenv("OMS_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    monkeypatch.setenv("OMS_CATALOGUE", json.dumps(CATALOGUE))


def start(database: Database) -> None:
    replica = Database(database._url, 8)
    for begin in SERVICE.build(Context(InventorySettings(), replica, CollectorRegistry())).on_start:
        begin()
    replica.dispose()


def test_what_the_catalogue_names_is_put_in_at_the_start_and_published(database: Database) -> None:
    start(database)
    assert stock(database) == {"a": (5, 0), "b": (0, 0)}
    assert [(event.subject, event.data.available) for event in pending_events(database, ITEM_UPDATED)] == [
        ("a", True),
        ("b", False),
    ]


def test_what_is_there_already_is_left_alone(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    start(database)
    changed = [{**CATALOGUE[0], "name": "Z", "unitPrice": 1, "onHand": 9}, {"id": "c", "name": "C", "unitPrice": 3}]
    monkeypatch.setenv("OMS_CATALOGUE", json.dumps(changed))
    start(database)
    assert stock(database) == {"a": (5, 0), "b": (0, 0), "c": (0, 0)}
    assert [(event.subject, event.data.name) for event in pending_events(database)] == [
        ("a", "A"),
        ("b", "B"),
        ("c", "C"),
    ]


def test_replicas_that_start_at_once_put_each_item_in_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [{"id": f"i{number}", "name": "I", "unitPrice": 1, "onHand": 1} for number in range(100)]
    for turn in (many, many[::-1]):
        monkeypatch.setenv("OMS_CATALOGUE", json.dumps(turn))
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: start(database), range(4)))
    assert stock(database) == {f"i{number}": (1, 0) for number in range(100)}
    assert len(pending_events(database)) == 100


def test_an_item_that_the_catalogue_names_twice_is_put_in_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMS_CATALOGUE", json.dumps([*CATALOGUE, *CATALOGUE]))
    start(database)
    assert len(pending_events(database)) == 2


def test_without_a_catalogue_nothing_is_put_in(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMS_CATALOGUE")
    start(database)
    assert stock(database) == {}


@pytest.mark.parametrize(
    "entry", [{"id": "a", "name": "A"}, {**CATALOGUE[0], "unitPrice": "1"}, {**CATALOGUE[0], "colour": "red"}]
)
def test_a_catalogue_that_cannot_be_used_is_named_at_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], entry: dict[str, object]
) -> None:
    monkeypatch.setenv("OMS_CATALOGUE", json.dumps([entry]))
    assert main(SERVICE, ["serve"]) == 2
    assert "OMS_CATALOGUE[0]." in capsys.readouterr().err


def test_a_catalogue_that_is_not_json_is_named_at_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMS_CATALOGUE", "[{")
    assert main(SERVICE, ["serve"]) == 2
    assert "OMS_CATALOGUE" in capsys.readouterr().err


def test_migrating_again_does_nothing(database: Database) -> None:
    migrations.upgrade(database, "oms_inventory")


def test_a_catalogue_may_be_a_file_of_any_size(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    many = [{"id": f"i{number}", "name": "I", "unitPrice": 1, "onHand": 1} for number in range(3000)]
    (path := tmp_path / "catalogue.json").write_text(json.dumps(many))
    monkeypatch.setenv("OMS_CATALOGUE_FILE", str(path))
    start(database)
    assert len(stock(database)) == 3000 + len(CATALOGUE)


@pytest.mark.parametrize(
    ("content", "where"),
    [('[{"id": "a b"}]', "[0].id: "), ("no JSON", ": Invalid JSON"), (None, ": cannot be read: FileNotFoundError")],
)
def test_what_is_wrong_with_a_catalogue_file_is_said_with_its_place(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    content: str | None,
    where: str,
) -> None:
    path = tmp_path / "catalogue.json"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("OMS_CATALOGUE_FILE", str(path))
    assert main(SERVICE, ["serve"]) == 2
    assert f"  OMS_CATALOGUE_FILE{where}" in capsys.readouterr().err
