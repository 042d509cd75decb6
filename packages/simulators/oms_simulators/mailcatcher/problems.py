"""Problems of RFC 9457, as the services answer them. Not by the chassis: that would bring its libraries into this small
process."""

from collections.abc import Mapping, Sequence

from pydantic import ValidationError
from starlette.responses import JSONResponse, Response


def problem(status: int, title: str, errors: Sequence[Mapping[str, str]] = ()) -> Response:
    """The answer to what cannot be done."""
    body = {"title": title, "status": status, "errors": list(errors)}
    return JSONResponse(body, status, media_type="application/problem+json")


def wrong(*errors: tuple[str, str]) -> Response:
    """The answer to a request of which these fields are wrong, each with why."""
    named = [{"field": field, "message": message} for field, message in errors]
    return problem(422, "The request is not valid", named)


def invalid(error: ValidationError) -> Response:
    """The answer to what does not validate. It repeats nothing that was sent."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return wrong(*((".".join(map(str, one["loc"])) or "body", one["msg"]) for one in found))
