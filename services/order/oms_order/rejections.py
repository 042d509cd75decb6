"""Why an order's body is refused: a problem kind for each sort of mistake, and never a word of what was sent."""

from typing import Any, NoReturn

from pydantic import ValidationError
from starlette.requests import Request

from oms_chassis.http.problems import Problem, field_of
from oms_order.schemas import OrderBody

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
    """The order in a request's body. Raises Problem."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(
            415,
            "unsupported-media-type",
            "The body must be application/json",
            headers={"Accept-Post": "application/json"},
        )
    body = await request.body()
    try:
        return OrderBody.model_validate_json(body)
    except ValidationError as error:
        raise _problem(error.errors(include_input=False, include_url=False)) from None


def refuse(kind: str, title: str, errors: dict[str, str]) -> NoReturn:
    """Raise the problem of these fields."""
    raise Problem(422, kind, title, errors=[{"field": field, "message": message} for field, message in errors.items()])


def _problem(errors: list[Any]) -> Problem:
    kinds = {_kind(error["type"]) for error in errors}
    if "malformed-json" in kinds:
        return Problem(400, "malformed-json", "The body is not valid JSON")
    named = [{"field": field_of(error), "message": _MESSAGES.get(error["type"], error["msg"])} for error in errors]
    return Problem(422, kinds.pop() if len(kinds) == 1 else "invalid-request", "The order is not valid", errors=named)


def _kind(error: str) -> str:
    if error in _KINDS or error.startswith("bad-"):
        return _KINDS.get(error, error)
    if error == "json_invalid":
        return "malformed-json"
    if error.endswith(("too_short", "too_long")):
        return "bad-length"
    return "wrong-type"
