"""Hooks with what schemathesis must know about services beyond their documents (see tests/support/openapi.py)."""

from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, HookContext, Response
from schemathesis.specs.openapi.checks import positive_data_acceptance

# A request may be refused for these reasons although it follows the document: no schema says which items and cursors
# exist, which addresses and numbers are real, what a key was used for, what was changed meanwhile, and which characters
# are visible. Besides, schemathesis strips the quotes of an entity tag.
BEYOND = {
    "bad-cursor",
    "bad-email",
    "bad-phone",
    "card-refused",
    "duplicate-item",
    "idempotency-key-reused",
    "item-changed",
    "unknown-item",
}

# Headers that any answer may have: what they mean is said by RFC 9110, and by docs of browsers.
OF_EVERY_ANSWER = {"cache-control", "connection", "content-length", "content-type", "date", "transfer-encoding"}
OF_BROWSERS = {"content-security-policy", "referrer-policy", "x-content-type-options", "x-frame-options"}
OF_NO_OPERATION = {"not-found", "method-not-allowed"}
TAGGED = {"If-Match", "If-None-Match"}
UNSAID = (
    "must hold a character that can be seen",
    "must be a phone number",
    "must be an email address",
    "must have its + encoded as %2B",
    "String should have at least 1 character",  # once the spaces around it are gone
)


@schemathesis.hook
def map_body(context: HookContext, body: Any) -> Any:
    """Make whole numbers integers, as our services require: to JSON Schema, 2.0 is one too."""
    if isinstance(body, dict):
        return {name: map_body(context, value) for name, value in body.items()}
    if isinstance(body, list):
        return [map_body(context, value) for value in body]
    return int(body) if isinstance(body, float) and body.is_integer() else body


@schemathesis.check
def what_follows_the_document_is_accepted(ctx: CheckContext, response: Response, case: "Case[Any]") -> bool | None:
    """Check as schemathesis does, except for rules that no schema can express."""
    return None if _is_beyond(response, case) else positive_data_acceptance(ctx, response, case)


@schemathesis.check
def each_answer_and_each_of_its_headers_is_in_the_document(
    ctx: CheckContext, response: Response, case: "Case[Any]"
) -> bool | None:
    """Look the answer up by its exact status and, if it is a problem, by its name: `default` does not count."""
    is_problem = "application/problem+json" in response.headers.get("content-type", [])
    kind = response.json()["type"].removeprefix("/problems/") if is_problem else ""
    if kind in OF_NO_OPERATION or case.method.upper() != case.operation.method.upper():
        return None
    described = case.operation.definition.raw["responses"].get(str(response.status_code))
    assert described is not None, f"{response.status_code} is not in the document"
    headers = {name.lower() for name in described.get("headers", {})}
    unknown = {name.lower() for name in response.headers} - headers - OF_EVERY_ANSWER - OF_BROWSERS
    assert not unknown, f"not in the document: {unknown}"
    assert kind in described["description"], f"{kind} is not in the document"
    return None


def _is_beyond(response: Response, case: "Case[Any]") -> bool:
    if response.status_code == 304:  # the request has named the version that it has
        return True
    if "application/problem+json" not in response.headers.get("content-type", []):
        return False
    problem = response.json()
    wrong = problem.get("errors", [])
    if wrong and {one["field"] for one in wrong} <= TAGGED and not all(_is_quoted(case, one["field"]) for one in wrong):
        return True
    unsaid = bool(wrong) and all(one["message"].startswith(UNSAID) for one in wrong)
    return unsaid or problem["type"].removeprefix("/problems/") in BEYOND


def _is_quoted(case: "Case[Any]", field: str) -> bool:
    return str(case.headers.get(field)).startswith(('"', "W/", "*", ","))
