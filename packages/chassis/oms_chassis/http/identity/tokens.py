"""Verifies an issuer's tokens (RFC 7519, RFC 9068): signature, issuer, audience and times. Each is verified once, and
remembered until it expires."""

import hashlib
import time
from collections.abc import Mapping
from typing import Any

import jwt

from oms_chassis.access import AccessSettings
from oms_chassis.http.deadlines import Shared
from oms_chassis.http.identity.bounded import Bounded
from oms_chassis.http.identity.callers import Caller
from oms_chassis.http.identity.issuer import Issuer
from oms_chassis.http.identity.problems import CredentialsInvalid, IdentityUnavailable

REMEMBERED = 10_000  # tokens
WAIT = 2.0  # seconds that a request waits for its key to be fetched
LONGEST = 8 * 1024  # characters
SUBJECT = 255  # characters, by OpenID Connect
_REQUIRED = ["exp", "iss", "aud"]


class Tokens:
    """Verifies tokens with the issuer's current keys."""

    def __init__(self, settings: AccessSettings, issuer: Issuer) -> None:
        self._settings, self._issuer = settings, issuer
        self._look = Shared(issuer.look)
        self._known: Bounded[Caller] = Bounded(REMEMBERED)
        self._generation = issuer.generation

    async def caller(self, token: str) -> Caller:
        """Return the caller whose token this is. Raises CredentialsInvalid or IdentityUnavailable."""
        if self._generation != self._issuer.generation:  # a key is gone, and its signatures are no longer valid
            self._generation = self._issuer.generation
            self._known.clear()
        digest = hashlib.sha256(token.encode()).hexdigest()
        caller = self._known.get(digest)
        if caller is None:
            caller = await self._verify(token)
            self._known.put(digest, caller)
        if caller.until is not None and caller.until <= time.time():
            raise CredentialsInvalid
        return caller

    async def _verify(self, token: str) -> Caller:
        if len(token) > LONGEST:
            raise CredentialsInvalid
        try:
            key = await self._key(jwt.get_unverified_header(token))
            return self._caller(self._claims(token, key))
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            raise CredentialsInvalid from None

    async def _key(self, header: Mapping[str, Any]) -> jwt.PyJWK:
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in self._settings.jwt_algorithms:
            raise CredentialsInvalid
        key = self._issuer.key(kid, algorithm)
        if key is None and not self._issuer.knows(kid):
            if not await self._look.in_time(WAIT, otherwise=False):
                raise IdentityUnavailable
            key = self._issuer.key(kid, algorithm)
        if key is None:
            raise CredentialsInvalid
        return key

    def _claims(self, token: str, key: jwt.PyJWK) -> Mapping[str, Any]:
        settings = self._settings
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key,
            algorithms=list(settings.jwt_algorithms),
            audience=settings.jwt_audience,
            issuer=settings.jwt_issuer,
            leeway=settings.jwt_leeway_seconds,
            options={"require": _REQUIRED},
        )
        return claims

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        subject = claims[self._settings.jwt_subject_claim]
        if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT or not subject.isprintable():
            raise CredentialsInvalid
        scopes = _scopes(claims.get(self._settings.jwt_scope_claim, "")).union(self._settings.jwt_default_scopes)
        return Caller(subject, scopes, float(claims["exp"]) + self._settings.jwt_leeway_seconds)


def _scopes(claim: object) -> frozenset[str]:
    listed = claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else []
    return frozenset(one for one in listed if isinstance(one, str))
