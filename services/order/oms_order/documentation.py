"""What the OpenAPI document says about requests that FastAPI does not parse itself: see rejections.read_order."""

from typing import Any

from oms_order.idempotency import HEADER
from oms_order.schemas import OrderBody

SAMPLE: dict[str, Any] = {
    "customer": {"name": "Anjana", "email": "test@gmail.com", "phoneNumber": "762222222"},
    "items": [{"id": "Item1", "quantity": 2}],
    "paymentDetails": {"name": "NGAS Subashana", "cardNumber": "1234", "expiryDate": "02/22", "cvv": "123"},
}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """The schema with every reference replaced by what it stands for."""
    if isinstance(schema, list):
        return [_inlined(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].removeprefix("#/$defs/")], definitions)
    return {name: _inlined(value, definitions) for name, value in schema.items() if name != "$defs"}


def _order_schema() -> Any:
    schema = OrderBody.model_json_schema()
    return _inlined(schema, schema["$defs"])


PLACE_ORDER: dict[str, Any] = {
    "parameters": [
        {
            "name": HEADER,
            "in": "header",
            "required": False,
            "description": "The same key and body get the first answer again, so that a request may be repeated"
            " whatever became of it. A service can be set to require it: then 400 without.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
        }
    ],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": _order_schema(), "example": SAMPLE}},
    },
}
_BODY = {"content": {"application/problem+json": {"schema": {"type": "object"}}}}
# What may be answered to an order beyond what every request may be.
UNSTORED: dict[int | str, dict[str, Any]] = {
    503: {
        "description": "`busy` and `unavailable`: nothing was stored, and the same request may be sent again after"
        " Retry-After. `outcome-unknown`: the order may have been stored; Location says where to look, and only a"
        " request with an Idempotency-Key may be sent again without looking.",
        "headers": {
            "Retry-After": {"schema": {"type": "integer"}},
            "Location": {"schema": {"type": "string"}},
        },
        **_BODY,
    }
}
PROBLEM: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A problem (RFC 9457)",
        **_BODY,
    }
}
