"""The AsyncAPI 3.0 document: every topic, what is on it, and which service sends and receives it."""

from collections.abc import Iterator
from typing import Any

from oms_contracts.topics import PARTITIONS, SERVICES, TOPICS, Topic, dead_letter

Json = dict[str, Any]
VERSION = "1.0.0"
ABOUT = (
    "The events of OMS. Each is a CloudEvent 1.0 in structured JSON. Its key is its subject, the id of the order or "
    "item, so that the events of one order keep their order within a topic. Each may arrive more than once: its id "
    "tells. Changes are additive only, and readers ignore fields that they do not know."
)
DEAD_LETTER = "deadLetter"
ORIGIN = {
    "oms-error": "The class of the error; never its text, which may quote the message",
    "oms-topic": "The topic that the message came from",
    "oms-partition": "Its partition there",
    "oms-offset": "Its offset there",
}


def document() -> Json:
    """The whole document."""
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "OMS", "version": VERSION, "description": ABOUT},
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
        "channels": {**dict(map(_channel, TOPICS)), **dict(map(_dead_letters, SERVICES))},
        "operations": dict(_operations()),
        "components": {"messages": {**dict(map(_message, TOPICS)), DEAD_LETTER: _letter()}},
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
        "description": f"What no retry can save in the {service} service, as it came",
        "messages": {DEAD_LETTER: {"$ref": f"#/components/messages/{DEAD_LETTER}"}},
        "bindings": {"kafka": {"topic": name, "partitions": PARTITIONS}},
    }


def _message(topic: Topic) -> tuple[str, Json]:
    # A plain reference, because tools know no schemaFormat for 2020-12; what is used of it means the same in draft 07.
    return topic.name, {
        "name": topic.name,
        "summary": topic.data.__doc__,
        "payload": {"$ref": f"./schemas/{topic.name}.json"},
        "correlationId": {"location": "$message.payload#/subject"},
        "bindings": {"kafka": {"key": {"type": "string", "description": "The event's subject"}}},
    }


def _letter() -> Json:
    properties = {name: {"type": "string", "description": about} for name, about in ORIGIN.items()}
    return {
        "name": DEAD_LETTER,
        "summary": "A message that could not be handled, unchanged, with its origin in its headers",
        "contentType": "application/octet-stream",
        "headers": {"type": "object", "required": list(ORIGIN), "properties": properties},
        "payload": {"description": "The value of the original message, which may be anything"},
    }


def _operations() -> Iterator[tuple[str, Json]]:
    for service in SERVICES:
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
