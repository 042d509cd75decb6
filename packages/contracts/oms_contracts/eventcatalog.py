"""A folder that EventCatalog (eventcatalog.dev) shows as a site: the domain, its services, events and channels."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from oms_contracts import schemas
from oms_contracts.asyncapi import VERSION
from oms_contracts.topics import PARTITIONS, SERVICES, TOPICS, Topic, dead_letter

DOMAIN, TEAM, SCHEMA = "orders", "oms", "schema.json"


def documents() -> dict[str, str]:
    """Return the text of every page, by its path within the catalogue's folder."""
    team = {"id": TEAM, "name": "OMS", "summary": "Who maintains this system"}
    return {
        f"teams/{TEAM}.mdx": _page(team, "See CONTRIBUTING.md in the repository."),
        f"domains/{DOMAIN}/index.mdx": _page(_domain(), "<NodeGraph />"),
        **{f"services/{service}/index.mdx": _page(_service(service), "<NodeGraph />") for service in SERVICES},
        **dict(_topics()),
    }


def _page(front: Mapping[str, Any], text: str) -> str:
    # JSON is YAML, so the front matter needs no other writer.
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in front.items()]
    return "\n".join(["---", *lines, "---", "", text, ""])


def _resource(name: str, title: str, summary: str | None) -> dict[str, Any]:
    return {"id": name, "name": title, "version": VERSION, "summary": summary, "owners": [TEAM]}


def _domain() -> dict[str, Any]:
    summary = "From an order to a notified customer: a choreographed saga over Kafka"
    return _resource(DOMAIN, "Orders", summary) | {"services": [_pointer(service) for service in SERVICES]}


def _service(service: str) -> dict[str, Any]:
    summary = f"The {service} service of OMS; its dead letters go to {dead_letter(service)}"
    return _resource(service, f"{service.capitalize()} Service", summary) | {
        "sends": [_pointer(topic.name) for topic in TOPICS if topic.emitted_by == service],
        "receives": [_pointer(topic.name) for topic in TOPICS if service in topic.read_by],
    }


def _topics() -> Iterator[tuple[str, str]]:
    for topic in TOPICS:
        yield f"events/{topic.name}/index.mdx", _page(_event(topic), "<NodeGraph />")
        yield f"events/{topic.name}/{SCHEMA}", json.dumps(schemas.inlined(schemas.schema(topic)), indent=2) + "\n"
        yield f"channels/{topic.name}/index.mdx", _page(_channel(topic), "<ChannelInformation />")


def _event(topic: Topic) -> dict[str, Any]:
    more = {"schemaPath": SCHEMA, "channels": [_pointer(_channel_id(topic))]}
    return _resource(topic.name, topic.name, topic.data.__doc__) | more


def _channel(topic: Topic) -> dict[str, Any]:
    kind = "compacted" if topic.compacted else "kept for the topic's retention"
    summary = f"Kafka topic, {PARTITIONS} partitions by the event's subject, {kind}"
    return _resource(_channel_id(topic), topic.name, summary) | {"address": topic.name, "protocols": ["kafka"]}


def _channel_id(topic: Topic) -> str:
    # Ids are unique in the whole catalogue, and the event already has the topic's name.
    return f"{topic.name}.channel"


def _pointer(name: str) -> dict[str, str]:
    return {"id": name, "version": VERSION}
