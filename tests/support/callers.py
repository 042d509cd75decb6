"""Calls every route of a service as every kind of caller, and derives from the route's requirements who may do what.

The routes are taken from the application, so that a new one cannot be forgotten: its test fails until its `REQUESTS`
says how to call it.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2

from oms_chassis.db import Database
from oms_chassis.http.identity.requirements import Requirement
from support.issuer import LocalIssuer
from support.keys import add_key

OWNER, OTHER, OPERATOR = "owner", "other", "operator"
IDENTIFIED = (OWNER, OTHER, OPERATOR)
REFUSED = ("expired token", "another audience", "unsigned", "expired key", "revoked key", "unknown key", "no bearer")
SORTS = ("nobody", *REFUSED, "wrong scope", *IDENTIFIED)


@dataclass(frozen=True)
class Callers:
    """The Authorization header of each kind of caller, with a token and, for known callers, also with a key."""

    tokens: Mapping[str, str]
    keys: Mapping[str, str] = field(default_factory=dict)

    def headers(self, sort: str, way: str = "token") -> dict[str, str]:
        """Return the headers of a request by such a caller."""
        known = self.keys if way == "key" else self.tokens
        return {"Authorization": known[sort]} if sort in known else {}


def callers(issuer: LocalIssuer, database: Database, scopes: Sequence[str]) -> Callers:
    """Return all kinds of callers, for the scopes that the routes require."""
    revoked, expired = add_key(database, OWNER, *scopes), add_key(database, OWNER, *scopes, seconds=-1)
    database.execute("UPDATE api_key SET revoked_at = now() WHERE id = %(id)s", id=revoked.split("_")[1])
    mine = issuer.token(OWNER, *scopes)
    header, payload, _ = mine.split(".")
    given = {
        "expired token": issuer.token(OWNER, *scopes, exp=int(time.time()) - 3600),
        "another audience": issuer.token(OWNER, *scopes, aud="another"),
        "unsigned": f"{header}.{payload}.",
        "expired key": expired,
        "revoked key": revoked,
        "unknown key": "oms_abcdefghij_" + "a" * 43,
        "wrong scope": issuer.token(OWNER, "something:else"),
        OWNER: mine,
        OTHER: issuer.token(OTHER, *scopes),
        OPERATOR: issuer.token(OPERATOR, *scopes, "operator"),
    }
    keys = {
        OWNER: add_key(database, OWNER, *scopes),
        OTHER: add_key(database, OTHER, *scopes),
        OPERATOR: add_key(database, OPERATOR, *scopes, "operator"),
    }
    tokens = {sort: f"Bearer {credential}" for sort, credential in given.items()} | {"no bearer": f"Basic {mine}"}
    return Callers(tokens, {sort: f"Bearer {key}" for sort, key in keys.items()})


def scopes_of(requirements: Sequence[Requirement]) -> list[str]:
    """Return all scopes that these routes require, without the one that only operators have."""
    return sorted({scope for one in requirements for scope in one.scopes} - {OPERATOR})


def name_of(requirement: Requirement) -> str:
    """Return a route's name, such as `GET /order/{order_id}`."""
    (method,) = requirement.methods
    return f"{method} {requirement.route.path}"


def expected(requirement: Requirement, sort: str, *, is_somebody_s: bool) -> set[int]:
    """Return the statuses that such a caller may get; `is_somebody_s`: the route is about one owner's object."""
    if sort in REFUSED:
        return {401}
    if not requirement.scopes:
        return {200, 201, 202}
    if sort == "nobody":
        return {401}
    if sort == "wrong scope" or (OPERATOR in requirement.scopes and sort != OPERATOR):
        return {403}
    return {404} if sort == OTHER and is_somebody_s else {200, 201, 202, 204}


def status_and_body(
    client: httpx2.Client, method: str, path: str, headers: Mapping[str, str], body: Any
) -> tuple[int, httpx2.Headers, bytes]:
    """Return the status and body of an answer; of a stream, only the beginning."""
    with client.stream(method, path, headers=dict(headers), json=body) as response:
        is_stream = response.headers.get("content-type", "").startswith("text/event-stream")
        return response.status_code, response.headers, b"" if is_stream else response.read()
