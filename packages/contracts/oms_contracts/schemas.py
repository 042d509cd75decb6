"""Generates a JSON Schema (2020-12) per event from the models, for other teams and other languages to build on."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from oms_contracts.topics import Topic

Schema = dict[str, Any]
DIALECT = GenerateJsonSchema.schema_dialect
_PROSE = {"description", "title", "examples"}
_OPEN = {"properties", "$defs"}


class _Plain(GenerateJsonSchema):
    """Leaves out titles that only repeat the names of the fields."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        return False


def schema(topic: Topic) -> Schema:
    """Return the schema of a topic's events, envelope included. Unknown fields are allowed: readers ignore them."""
    body = topic.model.model_json_schema(schema_generator=_Plain)
    body["properties"]["type"] = {"const": topic.name}
    body["required"] = ["specversion", *body["required"]]
    for definition in body["$defs"].values():
        definition.pop("title", None)
    return {
        "$schema": DIALECT,
        "$id": f"/schemas/{topic.name}.json",
        **body,
        "title": topic.name,
        "description": topic.data.__doc__,
    }


def inlined(schema: Any) -> Any:
    """Return a schema with every reference into its own `$defs` replaced by what it refers to."""
    return _inlined(schema, schema.get("$defs", {}))


def _inlined(node: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inlined(one, definitions) for one in node]
    if not isinstance(node, Mapping):
        return node
    if "$ref" in node:
        return _inlined(definitions[node["$ref"].removeprefix("#/$defs/")], definitions)
    return {name: _inlined(value, definitions) for name, value in node.items() if name != "$defs"}


def breaks(old: object, new: object, path: str = "") -> Iterator[str]:
    """Yield the places where the new schema does more than add optional fields to the old one."""
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        if old != new:
            yield path
        return
    is_open = path.rpartition("/")[2] in _OPEN
    for name in {**old, **new}:
        if name in _PROSE and not is_open:
            continue
        here = f"{path}/{name}"
        if name in old and name in new:
            yield from breaks(old[name], new[name], here)
        elif name in old or not is_open:
            yield here
