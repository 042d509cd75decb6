"""Each service emits and reads exactly the topics that the catalogue says, which is checked without servers."""

import ast
import importlib
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from oms_chassis.db import Database
from oms_chassis.messaging import deadletters
from oms_chassis.messaging.streams import Record
from oms_chassis.runtime.service import Components, Context, Service
from oms_contracts import asyncapi, topics
from oms_contracts.topics import SERVICES, TOPICS
from oms_platform.addresses import Addresses
from oms_platform.declarations import declaration

ROOT = Path(__file__).parents[2]
AT = Addresses.local()
NOWHERE = "postgresql://nobody@127.0.0.1:1/nowhere"
CONSTANTS = {name: value for name, value in vars(topics).items() if isinstance(value, topics.Topic)}

every_service = pytest.mark.parametrize("name", SERVICES)


def service(name: str) -> Service:
    found: Service = importlib.import_module(f"oms_{name}.main").SERVICE
    return found


def build(name: str) -> Components:
    """Return the service's components, with the settings that its folder declares."""
    declared = {key.removeprefix("OMS_").lower(): value for key, value in declaration(name).environment(AT).items()}
    given = {"database_url": NOWHERE, "kafka_bootstrap": "127.0.0.1:1", **declared}
    settings = service(name).settings.model_validate(given)
    return service(name).build(Context(settings, Database(NOWHERE), CollectorRegistry()))


def shared(name: str) -> Iterator[str]:
    """Yield the packages that a service uses, without the contracts, which name all topics."""
    project = tomllib.loads((ROOT / "services" / name / "pyproject.toml").read_text())["project"]
    for dependency in project["dependencies"]:
        if dependency.startswith("oms-") and dependency != "oms-contracts":
            yield dependency.replace("-", "_")


def mentioned(package: str) -> Iterator[str]:
    """Yield the topics that a package's code names, without test helpers."""
    folder = Path(str(importlib.import_module(package).__file__)).parent
    for path in folder.rglob("*.py"):
        if path.name == "testing.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
            if name in CONSTANTS:
                yield CONSTANTS[name].name


@every_service
def test_a_service_reads_exactly_the_topics_that_the_catalogue_says(name: str) -> None:
    read = [one.topic.name for one in build(name).subscriptions]
    assert len(read) == len(set(read))
    assert set(read) == {topic.name for topic in TOPICS if name in topic.read_by}


@every_service
def test_a_service_emits_exactly_the_topics_that_the_catalogue_says(name: str) -> None:
    spoken_of = {topic for package in [f"oms_{name}", *shared(name)] for topic in mentioned(package)}
    read = {one.topic.name for one in build(name).subscriptions}
    emitted = {topic.name for topic in TOPICS if topic.emitted_by == name}
    assert spoken_of - read == emitted - read
    assert emitted <= spoken_of


@every_service
def test_a_service_has_its_name_in_the_catalogue(name: str) -> None:
    assert (service(name).name, service(name).package) == (name, f"oms_{name}")


def test_every_topic_is_emitted_by_a_service_and_read_by_another() -> None:
    for topic in TOPICS:
        assert topic.emitted_by in SERVICES
        assert topic.read_by
        assert topic.read_by <= {*SERVICES} - {topic.emitted_by}


def test_dead_letters_carry_the_headers_that_the_document_promises() -> None:
    letter = deadletters.letter("order", Record("itemUpdatedEvent", 0, 7, b"key", b"value", ()), "ValueError")
    assert {name for name, _ in letter.headers} == set(asyncapi.ORIGIN)
