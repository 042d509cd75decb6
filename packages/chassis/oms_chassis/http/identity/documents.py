"""Adds to the OpenAPI document how callers authenticate, each route's scopes, and the errors of the gate.

It also removes `null` from the types of headers and query parameters, which FastAPI adds to all optional ones.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI

from oms_chassis.access import AccessSettings
from oms_chassis.http import documents
from oms_chassis.http.identity.problems import (
    CredentialsInvalid,
    CredentialsMissing,
    IdentityUnavailable,
    ScopeMissing,
    TooManyRequests,
)
from oms_chassis.http.identity.requirements import Requirement
from oms_chassis.http.problems import Problem

_KEY, _TOKEN = "apiKey", "token"


def install(app: FastAPI, settings: AccessSettings, requirements: Sequence[Requirement]) -> None:
    """Make the application's OpenAPI document say what this deployment asks of callers."""
    plain = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            _extend(plain(), settings, requirements)
        return plain()

    app.openapi = document  # type: ignore[method-assign] # as FastAPI's documentation has it


def _extend(document: dict[str, Any], settings: AccessSettings, requirements: Sequence[Requirement]) -> None:
    schemes = _schemes(settings)
    if schemes:
        document.setdefault("components", {})["securitySchemes"] = schemes
    for one in requirements:
        for method in one.methods:
            operation = document["paths"].get(one.route.path_format, {}).get(method.lower())
            if operation is not None:
                _correct_parameters(operation)
                _extend_operation(operation, one.scopes, schemes, is_limited=settings.rate_limit is not None)


def _correct_parameters(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        kinds = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
        if len(kinds) == 1:
            del schema["anyOf"]
            schema.update(kinds[0])


def _extend_operation(
    operation: dict[str, Any], scopes: Sequence[str], schemes: Mapping[str, Any], *, is_limited: bool
) -> None:
    refusals: list[type[Problem]] = [TooManyRequests] if is_limited else []
    if schemes:
        operation["security"] = [{name: list(scopes)} for name in schemes] + ([] if scopes else [{}])
        refusals += [CredentialsInvalid, *([CredentialsMissing, ScopeMissing] if scopes else []), IdentityUnavailable]
    documents.join(operation, *refusals)
    if is_limited:
        counted = documents.headed("RateLimit", "RateLimit-Policy")["headers"]
        for response in operation["responses"].values():
            response["headers"] = counted | response.get("headers", {})


def _schemes(settings: AccessSettings) -> dict[str, Any]:
    schemes: dict[str, Any] = {}
    if settings.asks_for_keys:
        schemes[_KEY] = {"type": "http", "scheme": "bearer", "bearerFormat": "oms_…", "description": "An API key"}
    if settings.asks_for_tokens:
        where = f"{(settings.jwt_issuer or '').rstrip('/')}/.well-known/openid-configuration"
        schemes[_TOKEN] = {"type": "openIdConnect", "openIdConnectUrl": where}
    return schemes
