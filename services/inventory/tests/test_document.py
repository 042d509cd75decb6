"""The OpenAPI document and the service say the same, whatever is sent."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from support import openapi


def test_every_answer_is_as_the_document_says(seed: Callable[..., None], address: str, tmp_path: Path) -> None:
    seed(Item1=3)
    assert openapi.cases_held(address, tmp_path) > 200


@pytest.fixture
def paths(client: httpx2.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()["paths"]
    return found


def test_a_parameter_may_be_left_out_and_is_never_null(paths: dict[str, Any]) -> None:
    operations = [operation for path in paths.values() for operation in path.values()]
    schemas = [parameter["schema"] for operation in operations for parameter in operation.get("parameters", ())]
    assert '"If-Match"' in json.dumps(schemas)
    assert "null" not in json.dumps(schemas)


def test_the_document_says_that_a_correction_is_one(client: httpx2.Client) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    assert schemas["CorrectBody"]["properties"]["quantity"]["not"] == {"const": 0}


def test_the_document_says_that_an_item_may_be_new(paths: dict[str, Any]) -> None:
    answers = paths["/items/{item_id}"]["put"]["responses"]
    assert answers["201"]["content"] == answers["200"]["content"] != {}


def test_the_bounds_of_a_quantity_are_in_the_document(client: httpx2.Client) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    quantity = schemas["RestockBody"]["properties"]["quantity"]
    assert (quantity["type"], quantity["minimum"], quantity["maximum"]) == ("integer", 1, 1_000_000_000)
