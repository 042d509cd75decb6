"""Every integer in a request or an event may be written as a number with a zero fraction."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter, ValidationError

import oms_chassis
from oms_chassis.http.bodies import Body
from oms_contracts.envelope import Message
from oms_contracts.topics import SERVICES

PACKAGES = (oms_chassis, *(importlib.import_module(f"oms_{service}") for service in SERVICES))
FITS = "5.0"  # within the bounds of every integer


def kinds(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for kind in base.__subclasses__():
        yield kind
        yield from kinds(kind)


def integers() -> Iterator[tuple[str, Any]]:
    """Yield the names of the integer fields, and the function that parses their values."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".migrations" not in module.name and not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    for kind in (*kinds(Body), *kinds(Message)):
        for name, field in kind.model_fields.items():
            kept: Any = Annotated[(field.annotation, name, *field.metadata)]
            reading: Any = TypeAdapter(kept)
            schema = reading.json_schema()
            if "integer" in {one.get("type") for one in (schema, *schema.get("anyOf", ()))}:
                yield f"{kind.__name__}.{name}", reading


def taken(reading: Any, number: str) -> bool:
    try:
        return bool(reading.validate_json(number, strict=True) == float(number))
    except ValidationError:
        return False


def test_an_integer_may_be_written_with_a_zero_fraction_but_with_no_other() -> None:
    found = dict(integers())
    assert {"ItemBody.quantity", "RefundBody.amount", "RestockBody.quantity", "Line.unit_price"} <= set(found)
    assert [name for name, reading in found.items() if not taken(reading, FITS)] == []
    assert [name for name, reading in found.items() if taken(reading, "5.5")] == []
