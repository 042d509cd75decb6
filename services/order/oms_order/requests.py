"""Parses the body of POST /order, and documents it for OpenAPI.

FastAPI does not parse the body: its errors would not become problems whose type names the kind of mistake.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request

from oms_chassis.http.problems import MalformedJson, Problem, field_of
from oms_contracts import schemas
from oms_order.idempotency import HEADER, SCHEMA
from oms_order.problems import InvalidOrder
from oms_order.schemas import OrderBody

SAMPLE: dict[str, Any] = {
    "customer": {"name": "Anjana", "email": "test@gmail.com", "phoneNumber": "762222222"},
    "items": [{"id": "Item1", "quantity": 2}],
    "paymentDetails": {"name": "NGAS Subashana", "cardNumber": "1234", "expiryDate": "02/22", "cvv": "123"},
}
PLACE_ORDER: dict[str, Any] = {
    "parameters": [
        {
            "name": HEADER,
            "in": "header",
            "required": False,
            "description": "The same key and body get the first answer again, so that a request may be repeated"
            " whatever its outcome. If the service is configured to require a key, a request without one gets 400.",
            "schema": SCHEMA,
        }
    ],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": schemas.inlined(OrderBody.model_json_schema()), "example": SAMPLE}},
    },
}
_KINDS = {
    "missing": "missing-field",
    "extra_forbidden": "unknown-field",
    "greater_than_equal": "out-of-range",
    "less_than_equal": "out-of-range",
    "string_pattern_mismatch": "bad-text",
    "string_unicode": "bad-text",
}
_MESSAGES = {
    "missing": "is required",
    "extra_forbidden": "is not a field of an order",
    "string_pattern_mismatch": "must not hold control characters",
}


async def read_order(request: Request) -> OrderBody:
    """Parse a request's body as an order. Raises MalformedJson or InvalidOrder."""
    try:
        return OrderBody.model_validate_json(await request.body())
    except ValidationError as error:
        raise _problem(error.errors(include_input=False, include_url=False)) from None


def _problem(errors: Iterable[Mapping[str, Any]]) -> Problem:
    listed = list(errors)
    kinds = {_kind(error["type"]) for error in listed}
    if "malformed-json" in kinds:
        return MalformedJson()
    named = [(field_of(error), _MESSAGES.get(error["type"], error["msg"])) for error in listed]
    return InvalidOrder(kinds.pop() if len(kinds) == 1 else InvalidOrder.kind, *named)


def _kind(error: str) -> str:
    if error in _KINDS or error.startswith("bad-"):
        return _KINDS.get(error, error)
    if error == "json_invalid":
        return "malformed-json"
    if error.endswith(("too_short", "too_long")):
        return "bad-length"
    return "wrong-type"
