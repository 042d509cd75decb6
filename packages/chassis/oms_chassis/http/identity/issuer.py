"""The keys of an OpenID Connect issuer: found by discovery, fetched by a thread of their own, and kept while the issuer
is unavailable.

A request waits for the issuer only if its token names an unknown key, as all do once the issuer signs with a new key.
All such requests share one fetch. However many tokens name keys that do not exist, they cause at most `BURST` fetches
at once, and then one every `COOLDOWN` seconds.
"""

import threading
import time
from collections.abc import Mapping
from typing import Any

import httpx2
from jwt import PyJWK, PyJWTError

from oms_chassis.access import AccessSettings, is_safe_url
from oms_chassis.telemetry.logs import logger

log = logger(__name__)

COOLDOWN = 10.0  # seconds after which unknown keys may cause another fetch, and a failed fetch is repeated
BURST = 3  # fetches that unknown keys may cause at once
TIMEOUT, FETCH = 3.0, 10.0  # seconds for each read, and for a whole document
LARGEST = 256 * 1024  # bytes of a document
MOST_KEYS = 100
FAMILIES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}  # the type of key for a family of algorithms


class IssuerFailed(Exception):
    """The issuer's documents cannot be fetched, or are not valid."""


class Issuer:
    """The keys of one issuer, by `kid`. One thread fetches them, others read them."""

    look_seconds = 0.5  # between two checks whether a fetch is due

    def __init__(self, settings: AccessSettings) -> None:
        self._url = (settings.jwt_issuer or "").rstrip("/")
        self._name = settings.jwt_issuer
        self._every = settings.jwt_keys_seconds
        self._keys: Mapping[str, Mapping[str, Any]] = {}
        self._next = self._looks_until = float("-inf")
        self._is_sure = False  # whether the last fetch succeeded
        self._fetching = threading.Lock()
        self.generation = 0  # changes when a key is removed

    def refresh(self) -> None:
        """Fetch the keys if a fetch is due. A failure is logged, and the current keys stay."""
        if time.monotonic() > self._next:
            with self._fetching:
                self._fetch()

    def look(self) -> bool:
        """Fetch the keys, because a token names an unknown one, unless there were too many fetches. Return whether the
        keys are up to date, so that a key that is still unknown does not exist."""
        with self._fetching:
            if self._may_look():
                self._fetch()
            return self._is_sure

    def _may_look(self) -> bool:
        now = time.monotonic()
        if self._looks_until > now + (BURST - 1) * COOLDOWN:
            return False
        self._looks_until = max(self._looks_until, now) + COOLDOWN
        return True

    def _fetch(self) -> None:
        try:
            self._take(_keys(self._url, self._name))
            self._is_sure = True
        except (IssuerFailed, httpx2.HTTPError, httpx2.InvalidURL, ValueError, RecursionError) as error:
            log.warning("issuer_unreachable", error=type(error).__name__, keys=len(self._keys))
            self._is_sure = False
        self._next = time.monotonic() + (self._every if self._is_sure else COOLDOWN)

    def _take(self, keys: Mapping[str, Mapping[str, Any]]) -> None:
        gone = any(keys.get(kid) != key for kid, key in self._keys.items())
        self._keys = keys
        self.generation += gone

    def key(self, kid: str | None, algorithm: str) -> PyJWK | None:
        """Return the key with this id for this algorithm; without an id, the only key if there is just one."""
        keys = self._keys
        jwk = keys.get(kid) if kid is not None else next(iter(keys.values())) if len(keys) == 1 else None
        if jwk is None or jwk["kty"] != FAMILIES.get(algorithm[:2]) or jwk.get("alg", algorithm) != algorithm:
            return None
        try:
            return PyJWK(dict(jwk), algorithm)
        except PyJWTError:
            return None

    def knows(self, kid: str | None) -> bool:
        """Whether there is a key with this id, for whatever algorithm."""
        return kid is not None and kid in self._keys


def _keys(issuer: str, name: str | None) -> Mapping[str, Mapping[str, Any]]:
    """Fetch the signature keys, by id. Raises IssuerFailed and httpx2's errors."""
    found = _document(f"{issuer}/.well-known/openid-configuration")
    where = found.get("jwks_uri")
    if found.get("issuer") != name or not isinstance(where, str) or not is_safe_url(where):
        raise IssuerFailed
    listed = _document(where).get("keys")
    if not isinstance(listed, list) or len(listed) > MOST_KEYS:
        raise IssuerFailed
    usable = [one for one in listed if isinstance(one, dict) and _is_for_signatures(one)]
    if not usable:
        raise IssuerFailed
    return {str(one.get("kid", number)): one for number, one in enumerate(usable)}


def _is_for_signatures(jwk: Mapping[str, Any]) -> bool:
    return jwk.get("kty") in FAMILIES.values() and jwk.get("use", "sig") == "sig"


def _document(url: str) -> Mapping[str, Any]:
    """Fetch a JSON document. The client's timeout is per read, so a timer closes the connection after the time for the
    whole."""
    body = b""
    with httpx2.Client(timeout=TIMEOUT, trust_env=True, follow_redirects=False) as client:
        limit = threading.Timer(FETCH, client.close)
        limit.start()
        try:
            with client.stream("GET", url, headers={"Accept": "application/json"}) as response:
                if response.status_code != 200:
                    raise IssuerFailed
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > LARGEST:
                        raise IssuerFailed
        finally:
            limit.cancel()
    document = httpx2.Response(200, content=body).json()
    if not isinstance(document, dict):
        raise IssuerFailed
    return document
