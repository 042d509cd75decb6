"""Problems of RFC 9457, like those of the services. The chassis is not used: its libraries would make this process
larger."""

from collections.abc import Mapping, Sequence

from pydantic import ValidationError
from starlette.responses import JSONResponse, Response


def problem(status: int, title: str, errors: Sequence[Mapping[str, str]] = ()) -> Response:
    """Return the answer to a request that cannot be carried out."""
    body = {"title": title, "status": status, "errors": list(errors)}
    return JSONResponse(body, status, media_type="application/problem+json")


def wrong(*errors: tuple[str, str]) -> Response:
    """Return the answer to a request with these wrong fields, each with the reason."""
    named = [{"field": field, "message": message} for field, message in errors]
    return problem(422, "The request is not valid", named)


def invalid(error: ValidationError) -> Response:
    """Return the answer to a request that is not valid. It repeats nothing that was sent."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return wrong(*((".".join(map(str, one["loc"])) or "body", one["msg"]) for one in found))
