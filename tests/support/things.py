"""An application whose routes fail in every way that there is."""

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
    """What is wrong in most tests."""

    model_config = ConfigDict(extra="forbid")
    id: str = Field(max_length=5)
    quantity: int


class Body(BaseModel):
    """What is posted."""

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
    """What routes depend on."""

    value: int


@router.post("/things")
def post(body: Body) -> dict[str, int]:
    """How many lines a body has."""
    return {"lines": len(body.lines)}


@router.get("/things/{number}")
def get(number: str, limit: Annotated[int, Query(le=3)] = 1, x_size: Annotated[int, Header()] = 0) -> dict[str, Any]:
    """Fail as the path says, or say what the query and the header were."""
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
    """What a dependency was given."""
    return {"part": part}


@router.get("/answer", responses=documented(Taken, Gone, Unavailable))
def answer(answer: Annotated[Answer, Depends(Provided(Answer))]) -> int:
    """What the composition root provides."""
    return answer.value


@router.post("/lost/by-key")
def lose_by_key(key: Annotated[str | None, Header(alias="Idempotency-Key")] = None) -> None:
    """The same, of a route that does once what is sent with one key."""
    lose()


@router.api_route("/lost", methods=["GET", "POST", "PUT"])
def lose() -> None:
    """The commit was sent, and its answer did not come."""
    error = psycopg.OperationalError()
    error.leaves_outcome_open = True  # type: ignore[attr-defined] # as sessions mark it
    raise OperationalError(None, None, error)


def problem(response: httpx2.Response, status: int, kind: str) -> dict[str, Any]:
    """The body of an answer that is this problem, and holds no secret."""
    assert response.status_code == status
    assert response.headers["content-type"] == MEDIA_TYPE
    body: dict[str, Any] = response.json()
    assert (body["type"], body["status"]) == (f"/problems/{kind}", status)
    assert SECRET not in response.text
    return body
