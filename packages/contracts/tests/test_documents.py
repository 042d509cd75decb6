"""What is generated is committed, promises stay kept, and the AsyncAPI document hangs together."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from oms_contracts import asyncapi, eventcatalog, schemas, topics
from oms_contracts.__main__ import FOLDER, documents, drift, main, write
from oms_contracts.topics import SERVICES, TOPICS, Topic

every_topic = pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
Names = list[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path)
    return tmp_path


def change(path: Path, **fields: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_what_is_committed_is_what_the_models_say() -> None:
    assert drift(FOLDER) == []
    assert main(["--check"]) == 0


def test_what_was_just_written_has_not_drifted(folder: Path) -> None:
    assert drift(folder) == []
    assert main(["--check"], folder, []) == 0


def test_the_check_names_each_file_that_drifted_and_touches_none(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(folder / "schemas/itemUpdatedEvent.json", title="another")
    (folder / "asyncapi.json").unlink()
    (folder / "schemas/goneEvent.json").write_text("{}")
    assert main(["--check"], folder, []) == 1
    said = capsys.readouterr().err
    drifted = ["asyncapi.json", "schemas/goneEvent.json", "schemas/itemUpdatedEvent.json"]
    assert all(name in said for name in drifted)
    assert "orderCreatedEvent" not in said
    assert drift(folder) == drifted


def test_writing_into_an_empty_folder_makes_everything(tmp_path: Path) -> None:
    assert main([], tmp_path, []) == 0
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")} == set(documents())


def test_a_field_that_readers_rely_on_is_not_taken_away_unless_one_insists(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "schemas/paymentRefundedEvent.json"
    promised = json.loads(path.read_text())
    promised["$defs"]["PaymentRefunded"]["properties"]["fee"] = {"type": "integer"}
    path.write_text(json.dumps(promised))
    assert main([], folder, []) == 1
    assert "/$defs/PaymentRefunded/properties/fee" in capsys.readouterr().err
    assert json.loads(path.read_text()) == promised
    assert main(["--breaking"], folder, []) == 0
    assert drift(folder) == []


def test_an_event_is_not_taken_away_unless_one_insists(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gone = folder / "schemas/goneEvent.json"
    gone.write_text("{}")
    assert main([], folder, []) == 1
    assert "goneEvent.json: the event is gone" in capsys.readouterr().err
    assert main(["--breaking"], folder, []) == 0
    assert not gone.exists()


OLD: dict[str, Any] = {
    "properties": {"a": {"type": "integer"}, "description": {"type": "string"}},
    "required": ["a"],
    "description": "One thing",
}


@pytest.mark.parametrize(
    ("new", "where"),
    [
        (OLD, []),
        ({**OLD, "description": "Another"}, []),
        ({**OLD, "properties": {**OLD["properties"], "b": {"type": "string"}}}, []),
        ({**OLD, "properties": {"a": {"type": "integer"}}}, ["/properties/description"]),
        ({**OLD, "properties": {**OLD["properties"], "a": {"type": "string"}}}, ["/properties/a/type"]),
        (
            {**OLD, "properties": {**OLD["properties"], "a": {"type": "integer", "minimum": 5}}},
            ["/properties/a/minimum"],
        ),
        ({**OLD, "required": ["a", "description"]}, ["/required"]),
        ({**OLD, "required": []}, ["/required"]),
        ({**OLD, "additionalProperties": False}, ["/additionalProperties"]),
        (None, [""]),
    ],
)
def test_only_optional_fields_and_prose_are_additions(new: object, where: Names) -> None:
    assert list(schemas.breaks(OLD, new)) == where


@every_topic
def test_every_schema_is_one_and_says_its_name(topic: Topic) -> None:
    schema = schemas.schema(topic)
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == topic.event(_any_data(topic), "s").dataschema
    assert schema["properties"]["type"] == {"const": topic.name}


def _any_data(topic: Topic) -> Any:
    return topic.data.model_construct()


@every_topic
def test_a_schema_takes_no_event_of_another_topic(topic: Topic) -> None:
    validator = Draft202012Validator(schemas.schema(topic))
    assert any("const" in error.schema for error in validator.iter_errors({"type": "otherEvent"}))


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


DOCUMENTS = {"system": asyncapi.system(), **{service: asyncapi.application(service) for service in SERVICES}}
every_document = pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)


def _resolve(document: Any, pointer: str) -> Any:
    for part in pointer.strip("/").split("/"):
        document = document[part]
    return document


@pytest.mark.parametrize("service", SERVICES)
def test_every_reference_of_an_application_s_document_leads_somewhere(service: str) -> None:
    document = asyncapi.application(service, asyncapi.referred)
    for reference in _references(document):
        file, _, pointer = reference.partition("#")
        assert (FOLDER / "asyncapi" / file).is_file() if file else _resolve(document, pointer), reference


@every_document
def test_a_document_that_is_served_needs_no_other_file(document: Any) -> None:
    for reference in _references(document):
        assert reference.startswith("#/"), reference
        assert _resolve(document, reference[1:])


def test_an_inlined_schema_takes_and_refuses_what_the_schema_does() -> None:
    for topic in TOPICS:
        whole, inlined = schemas.schema(topic), asyncapi.inlined(topic)
        assert not list(_references(inlined))
        Draft202012Validator.check_schema(inlined)
        empty: dict[str, Any] = {}
        wanted = sorted(error.message for error in Draft202012Validator(whole).iter_errors(empty))
        assert sorted(error.message for error in Draft202012Validator(inlined).iter_errors(empty)) == wanted != []


def test_every_topic_is_a_channel_and_the_compacted_one_says_so() -> None:
    channels = asyncapi.system()["channels"]
    assert {channel["address"] for channel in channels.values()} == set(topics.names())
    compacted = {name for name, channel in channels.items() if "topicConfiguration" in channel["bindings"]["kafka"]}
    assert compacted == {"itemUpdatedEvent"}


@pytest.mark.parametrize("service", SERVICES)
def test_the_operations_of_a_service_are_what_the_topics_say(service: str) -> None:
    document = asyncapi.application(service)
    done = {tuple(key.split("-", 2)[1:]) for key in document["operations"]}
    sends = {("send", topic.name) for topic in TOPICS if topic.emitted_by == service}
    receives = {("receive", topic.name) for topic in TOPICS if service in topic.read_by}
    assert done == sends | receives | {("send", topics.dead_letter(service))}
    assert document["channels"].keys() == {channel for _, channel in done}


@every_document
def test_an_operation_names_a_message_of_its_own_channel(document: Any) -> None:
    for name, operation in document["operations"].items():
        (message,) = operation["messages"]
        assert message["$ref"].startswith(f"{operation['channel']['$ref']}/messages/"), name


def test_every_page_of_the_event_catalogue_points_to_pages_that_exist() -> None:
    pages = {}
    for path, text in eventcatalog.documents().items():
        if path.endswith(".mdx"):
            front = yaml.safe_load(text.split("---")[1])
            assert front["id"] not in pages, path
            pages[front["id"]] = front
    kinds = ("services", "sends", "receives", "channels")
    pointers = {one["id"] for front in pages.values() for kind in kinds for one in front.get(kind, ())}
    assert pointers == pages.keys() - {eventcatalog.DOMAIN, eventcatalog.TEAM}


@pytest.mark.skipif(shutil.which("eventcatalog-linter") is None, reason="EventCatalog's linter is not installed")
def test_the_event_catalogue_passes_its_own_linter() -> None:
    command = ["eventcatalog-linter", "--fail-on-warning", str(FOLDER / "eventcatalog")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
