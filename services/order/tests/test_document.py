"""The OpenAPI document and the service say the same, whatever is sent."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from support import openapi
from support.keys import add_key

SCOPES = ("orders:place", "orders:read", "orders:act")


def test_every_answer_is_as_the_document_says(service: Any, tmp_path: Path) -> None:
    assert openapi.cases_held(str(service.client.base_url), tmp_path) > 200
    assert service.rows("orders") > 0


def test_whoever_says_nothing_or_something_else_is_refused_as_the_document_says(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    service = start(auth=("api-key",))
    key = add_key(service.database, "fuzz", *SCOPES)
    options = [f"--header=Authorization: Bearer {key}", "--phases=examples,fuzzing"]
    assert openapi.cases_held(str(service.client.base_url), tmp_path, *options) > 50


def test_the_document_says_what_a_key_is(service: Any) -> None:
    paths = service.client.get("/openapi.json").json()["paths"]
    for path in ("/order", "/order/{order_id}/cancel"):
        (key,) = [one for one in paths[path]["post"]["parameters"] if one["name"] == "Idempotency-Key"]
        assert (key["schema"]["pattern"], key["schema"]["maxLength"]) == ("^[!-~]+$", 200)
