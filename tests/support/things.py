"""An application whose routes fail in every possible way."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import httpx2
import psycopg
from fastapi import APIRouter, Depends, Header, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import OperationalError

from oms_chassis.http.dependencies import Provided
from oms_chassis.http.identity.requirements import Needs
from oms_chassis.http.problems import MEDIA_TYPE, Problem, Unavailable, documented
from oms_chassis.telemetry import tracing

SECRET = "4242424242424242"


class Line(BaseModel):
    """A line of a body, which most tests get wrong."""

    model_config = ConfigDict(extra="forbid")
    id: str = Field(max_length=5)
    quantity: int


class Body(BaseModel):
    """The body of a POST."""

    lines: list[Line]


router = APIRouter(dependencies=[Depends(Needs())])


class Taken(Problem):
    """Somebody was here before."""

    status, kind, title = 409, "taken", "It is taken"
    headers: Mapping[str, str] = {"Retry-After": "3"}
    documented_headers = ("Location",)


class Gone(Problem):
    """Nobody was here."""

    status, kind, title = 409, "gone", "It is gone"


@dataclass(frozen=True)
class Answer:
    """A dependency of routes."""

    value: int


@router.post("/things")
def post(body: Body) -> dict[str, int]:
    """Return the number of lines of a body."""
    return {"lines": len(body.lines)}


@router.get("/things/{number}")
def get(number: str, limit: Annotated[int, Query(le=3)] = 1, x_size: Annotated[int, Header()] = 0) -> dict[str, Any]:
    """Fail as the path says, or return the query and the header."""
    raised: dict[str, Exception] = {
        "gone": OperationalError("SELECT 1", {}, Exception("away")),
        "bug": LookupError(SECRET),
        "taken": Taken(detail="By someone else"),
    }
    if number in raised:
        raise raised[number]
    return {"trace": tracing.current(), "limit": limit, "size": x_size}


def part(part: str) -> str:
    """A parameter of a dependency."""
    return part


@router.put("/things/{number}")
def put(number: str, part: Annotated[str, Depends(part)]) -> dict[str, str]:
    """Return what a dependency was given."""
    return {"part": part}


@router.get("/answer", responses=documented(Taken, Gone, Unavailable))
def answer(answer: Annotated[Answer, Depends(Provided(Answer))]) -> int:
    """Return what the composition root provides."""
    return answer.value


@router.post("/lost/by-key")
def lose_by_key(key: Annotated[str | None, Header(alias="Idempotency-Key")] = None) -> None:
    """Lose the answer of a route that acts once per idempotency key."""
    lose()


@router.api_route("/lost", methods=["GET", "POST", "PUT"])
def lose() -> None:
    """Fail as if the commit was sent and its answer lost."""
    error = psycopg.OperationalError()
    error.leaves_outcome_open = True  # type: ignore[attr-defined] # as sessions mark it
    raise OperationalError(None, None, error)


def problem(response: httpx2.Response, status: int, kind: str) -> dict[str, Any]:
    """Assert that an answer is this problem and contains no secret, and return its body."""
    assert response.status_code == status
    assert response.headers["content-type"] == MEDIA_TYPE
    body: dict[str, Any] = response.json()
    assert (body["type"], body["status"]) == (f"/problems/{kind}", status)
    assert SECRET not in response.text
    return body
