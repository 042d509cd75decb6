"""AsyncAPI 3.1: one document per application, which is the specification's unit, and one of the whole system.

An application's document refers to the schemas next to it, or includes them for readers who only get the document.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from oms_contracts import schemas
from oms_contracts.topics import PARTITIONS, SERVICES, TOPICS, Topic, dead_letter

Json = dict[str, Any]
Payload = Callable[[Topic], Json]

VERSION = "1.0.0"
ABOUT = (
    "Each event is a CloudEvent 1.0 in structured JSON. Its key is its subject, the id of the order or item, so that "
    "the events of one order keep their order within a topic. Each may be delivered more than once: "
    "a repetition has the same id. Changes are additive only, and readers ignore fields that they do not know."
)
DEAD_LETTER = "deadLetter"
ORIGIN = {
    "oms-error": "The class of the error; never its text, which may quote the message",
    "oms-topic": "The topic that the message came from",
    "oms-partition": "Its partition there",
    "oms-offset": "Its offset there",
}


def referred(topic: Topic) -> Json:
    """Return a reference to the schema in its own file."""
    # Without a schemaFormat, because tools know none for 2020-12; the parts in use mean the same in draft 07.
    return {"$ref": f"../schemas/{topic.name}.json"}


def inlined(topic: Topic) -> Json:
    """Return the schema itself, without references."""
    schema: Json = schemas.inlined(schemas.schema(topic))
    return {name: value for name, value in schema.items() if name not in ("$schema", "$id")}


def application(service: str, payload: Payload = inlined) -> Json:
    """Return the document of one service: the channels that it sends to and receives from."""
    return _document(f"OMS {service} service", [service], payload)


def system(payload: Payload = inlined) -> Json:
    """Return the document of all services together."""
    return _document("OMS", SERVICES, payload)


def _document(title: str, services: Sequence[str], payload: Payload) -> Json:
    used = [topic for topic in TOPICS if topic.emitted_by in services or topic.read_by.intersection(services)]
    messages = dict(_message(topic, payload(topic)) for topic in used)
    return {
        "asyncapi": "3.1.0",
        "info": {"title": title, "version": VERSION, "description": ABOUT},
        "defaultContentType": "application/cloudevents+json",
        "servers": {
            "local": {"host": "localhost:19092", "protocol": "kafka", "description": "What `make up` starts"},
            "cluster": {
                "host": "{bootstrap}",
                "protocol": "kafka",
                "description": "OMS_KAFKA_BOOTSTRAP of the services",
                "variables": {"bootstrap": {"description": "host:port of a broker"}},
            },
        },
        "channels": {**dict(map(_channel, used)), **dict(map(_dead_letters, services))},
        "operations": dict(_operations(services)),
        "components": {"messages": {**messages, DEAD_LETTER: _dead_letter()}},
    }


def _channel(topic: Topic) -> tuple[str, Json]:
    binding: Json = {"topic": topic.name, "partitions": PARTITIONS}
    if topic.compacted:
        binding["topicConfiguration"] = {"cleanup.policy": ["compact"]}
    return topic.name, {
        "address": topic.name,
        "description": topic.data.__doc__,
        "messages": {topic.name: {"$ref": f"#/components/messages/{topic.name}"}},
        "bindings": {"kafka": binding},
    }


def _dead_letters(service: str) -> tuple[str, Json]:
    name = dead_letter(service)
    return name, {
        "address": name,
        "description": f"Messages that the {service} service could not handle after all retries, unchanged",
        "messages": {DEAD_LETTER: {"$ref": f"#/components/messages/{DEAD_LETTER}"}},
        "bindings": {"kafka": {"topic": name, "partitions": PARTITIONS}},
    }


def _message(topic: Topic, payload: Json) -> tuple[str, Json]:
    return topic.name, {
        "name": topic.name,
        "summary": topic.data.__doc__,
        "payload": payload,
        "correlationId": {"location": "$message.payload#/subject"},
        "bindings": {"kafka": {"key": {"type": "string", "description": "The event's subject"}}},
    }


def _dead_letter() -> Json:
    properties = {name: {"type": "string", "description": about} for name, about in ORIGIN.items()}
    return {
        "name": DEAD_LETTER,
        "summary": "A message that could not be handled, unchanged, with its origin in its headers",
        "contentType": "application/octet-stream",
        "headers": {"type": "object", "required": list(ORIGIN), "properties": properties},
        "payload": {"description": "The value of the original message, which may be anything"},
    }


def _operations(services: Sequence[str]) -> Iterator[tuple[str, Json]]:
    for service in services:
        for topic in TOPICS:
            if topic.emitted_by == service:
                yield _operation(service, "send", topic.name, topic.name)
            if service in topic.read_by:
                yield _operation(service, "receive", topic.name, topic.name)
        yield _operation(service, "send", dead_letter(service), DEAD_LETTER)


def _operation(service: str, action: str, channel: str, message: str) -> tuple[str, Json]:
    return f"{service}-{action}-{channel}", {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{message}"}],
        "tags": [{"name": service}],
    }
