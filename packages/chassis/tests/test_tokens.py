"""An issuer's tokens: who is authenticated, also while the issuer is unavailable or its keys change."""

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError
from support.dripping import dripping
from support.issuer import LocalIssuer, local_issuer

from oms_chassis.access import AccessSettings
from oms_chassis.http.identity import issuer as issuers
from oms_chassis.http.identity import tokens as verified
from oms_chassis.http.identity.callers import Caller
from oms_chassis.http.identity.issuer import Issuer
from oms_chassis.http.identity.problems import CredentialsInvalid, IdentityUnavailable
from oms_chassis.http.identity.tokens import Tokens

Ask = Callable[[str], Caller]


@pytest.fixture
def local() -> Iterator[LocalIssuer]:
    with local_issuer() as issuer:
        yield issuer


@pytest.fixture
def issuer(local: LocalIssuer) -> Issuer:
    """The issuer as a service sees it; its keys have been fetched."""
    known = Issuer(AccessSettings(**local.settings))
    known.refresh()
    return known


@pytest.fixture
def tokens(local: LocalIssuer, issuer: Issuer) -> Tokens:
    return Tokens(AccessSettings(**local.settings), issuer)


@pytest.fixture
def ask(tokens: Tokens) -> Iterator[Ask]:
    """Authenticate as requests do: in one event loop."""
    with asyncio.Runner() as runner:
        yield lambda token: runner.run(tokens.caller(token))


def test_a_token_identifies_its_subject_with_its_scopes_until_it_expires(local: LocalIssuer, ask: Ask) -> None:
    caller = ask(local.token("ann", "orders:read", "orders:place", exp=int(time.time()) + 60))
    assert (caller.subject, set(caller.scopes)) == ("ann", {"orders:read", "orders:place"})
    assert caller.until is not None
    assert caller.until == pytest.approx(time.time() + 60 + 30, abs=10)


def test_scopes_may_be_a_list_and_everybody_may_have_default_scopes(local: LocalIssuer, issuer: Issuer) -> None:
    settings = AccessSettings(**local.settings, jwt_scope_claim="roles", jwt_default_scopes=("orders:read",))
    caller = asyncio.run(Tokens(settings, issuer).caller(local.token(roles=["items:write", 7])))
    assert caller.scopes == {"items:write", "orders:read"}


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("expired", {"exp": 1_000_000_000}),
        ("without an end", {"exp": None}),
        ("not yet valid", {"nbf": 99_999_999_999}),
        ("with an end that is no time", {"exp": float("inf")}),
        ("with a beginning that is no time", {"nbf": float("-inf")}),
        ("another audience", {"aud": "another"}),
        ("without an audience", {"aud": None}),
        ("another issuer", {"iss": "https://other.example.com"}),
        ("without a subject", {"sub": None}),
        ("with an empty subject", {"sub": ""}),
        ("with a subject that is no text", {"sub": 7}),
        ("with a subject of two lines", {"sub": "a\nb"}),
        ("with a subject that is too long", {"sub": "a" * 256}),
    ],
)
def test_a_token_that_is_not_for_us_is_refused(name: str, wrong: dict[str, Any], local: LocalIssuer, ask: Ask) -> None:
    with pytest.raises(CredentialsInvalid):
        ask(local.token(**wrong))


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_a_token_that_anybody_could_have_made_is_refused(local: LocalIssuer, ask: Ask) -> None:
    """Unsigned; signed with the public key as a shared secret; signed by a stranger; altered; or not a token at all."""
    _, payload, signature = local.token().split(".")
    public = local.documents["/keys"]["keys"][0]["x"]
    claims = jwt.decode(local.token(), options={"verify_signature": False})
    stranger = ec.generate_private_key(ec.SECP256R1())
    changed = _part({**claims, "scope": "operator"})
    made = [
        f"{_part({'alg': 'none', 'typ': 'JWT', 'kid': 'first'})}.{payload}.",
        jwt.encode(claims, public, "HS256", {"kid": "first"}),
        jwt.encode(claims, stranger, "ES256", {"kid": "first"}),
        f"{_part({'alg': 'ES256', 'kid': 'first'})}.{changed}.{signature}",
        f"{_part({'alg': 'RS256', 'kid': 'first'})}.{payload}.{signature}",
        f"{_part({'alg': ['ES256'], 'kid': 'first'})}.{payload}.{signature}",
        f"{_part({'alg': 'ES256', 'kid': {}})}.{payload}.{signature}",
        f"{_part([])}.{payload}.{signature}",
        jwt.encode(claims, stranger, "ES256", {"kid": "first", "jku": "https://evil.example/keys"}),
        jwt.encode(claims, stranger, "ES256", {"kid": "first", "x5u": "https://evil.example/cert", "x5c": ["a"]}),
        jwt.encode(claims, stranger, "ES256", {"kid": "https://evil.example/keys"}),
        jwt.encode(claims, "a" * 32, "HS256", {"kid": "../../dev/null"}),
        f"{base64.urlsafe_b64encode(b'[' * 6000).decode().rstrip('=')}.{payload}.{signature}",
        f"{_part({'alg': 'ES256', 'kid': 'first', 'b64': False, 'crit': ['b64']})}.{payload}.{signature}",
        "", ".", "..", "ä.ä.ä", "a" * 10_000, "a.b.c",
    ]  # fmt: skip
    for token in made:
        with pytest.raises(CredentialsInvalid):
            ask(token)


def test_a_token_is_verified_once_and_refused_when_it_has_expired(
    local: LocalIssuer, tokens: Tokens, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = local.token(exp=int(time.time()) + 60)
    first = ask(token)
    monkeypatch.setattr(tokens, "_verify", None)
    assert ask(token) is first
    later = time.time() + 91
    monkeypatch.setattr(verified, "time", SimpleNamespace(time=lambda: later))
    with pytest.raises(CredentialsInvalid):
        ask(token)


def test_keys_are_kept_while_the_issuer_is_unavailable(
    local: LocalIssuer, issuer: Issuer, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.is_away = True
    later = time.monotonic() + 10_000
    monkeypatch.setattr(issuers, "time", SimpleNamespace(monotonic=lambda: later))
    asked = len(local.asked)
    issuer.refresh()
    assert len(local.asked) > asked
    assert ask(local.token()).subject == "ann"


def test_until_the_issuer_has_been_reached_refusals_are_temporary(local: LocalIssuer) -> None:
    local.is_away = True
    settings = AccessSettings(**local.settings)
    issuer = Issuer(settings)
    issuer.refresh()
    with pytest.raises(IdentityUnavailable):
        asyncio.run(Tokens(settings, issuer).caller(local.token()))


def test_a_token_with_a_new_key_is_accepted_at_once_and_tokens_of_the_old_key_are_no_longer_valid(
    local: LocalIssuer, ask: Ask
) -> None:
    """Even right after a fetch, and twice in a row, as after a key was stolen."""
    old = local.token()
    assert ask(old).subject == "ann"
    for kid in ("second", "third"):
        local.rotate(kid)
        assert ask(local.token()).subject == "ann"
    with pytest.raises(CredentialsInvalid):
        ask(old)


def test_all_callers_with_a_new_key_wait_for_one_fetch(local: LocalIssuer, tokens: Tokens) -> None:
    local.rotate("second")
    asked, tokens_of_many = len(local.asked), [local.token(f"customer-{number}") for number in range(50)]

    async def all_at_once() -> list[Caller]:
        return await asyncio.gather(*map(tokens.caller, tokens_of_many))

    assert [one.subject for one in asyncio.run(all_at_once())] == [f"customer-{number}" for number in range(50)]
    assert len(local.asked) == asked + 2  # documents


def test_refusals_are_temporary_if_the_issuer_could_not_be_asked_for_a_key(local: LocalIssuer, ask: Ask) -> None:
    local.rotate("second")
    local.is_away = True
    for _ in range(issuers.BURST + 2):
        with pytest.raises(IdentityUnavailable):
            ask(local.token())


def test_an_issuer_that_does_not_answer_is_not_waited_for_long(
    local: LocalIssuer, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verified, "WAIT", 0.2)
    local.rotate("second")
    with local.silence, pytest.raises(IdentityUnavailable):
        ask(local.token())


def test_however_many_keys_are_unknown_the_issuer_is_asked_rarely(
    local: LocalIssuer, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, now = len(local.asked), time.monotonic()
    for second in range(40):
        monkeypatch.setattr(issuers, "time", SimpleNamespace(monotonic=partial(float, now + second)))
        for number in range(20):
            with pytest.raises(CredentialsInvalid):
                ask(local.token(kid=f"unknown-{second}-{number}"))
    looks = (len(local.asked) - asked) / 2  # of two documents each
    assert issuers.BURST <= looks <= issuers.BURST + 40 / issuers.COOLDOWN


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/.well-known/openid-configuration", {"issuer": "https://other.example.com", "jwks_uri": "http://localhost/"}),
        ("/.well-known/openid-configuration", {"issuer": None, "jwks_uri": 7}),
        ("/.well-known/openid-configuration", b"no json"),
        ("/.well-known/openid-configuration", []),
        ("/keys", {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "first"}]}),
        ("/keys", {"keys": "first"}),
        ("/keys", {"keys": [{"kty": "EC", "kid": str(number)} for number in range(101)]}),
        ("/keys", b" " * 300_000),
        ("/keys", b"[" * 200_000),
    ],
    ids=[
        "of another",
        "of nobody",
        "no-json",
        "a-list",
        "a-shared-secret",
        "no-keys",
        "too-many",
        "too-large",
        "too-deep",
    ],
)
def test_an_invalid_document_of_the_issuer_changes_nothing(
    path: str, document: Any, local: LocalIssuer, issuer: Issuer, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.documents[path] = document
    later = time.monotonic() + 10_000
    monkeypatch.setattr(issuers, "time", SimpleNamespace(monotonic=lambda: later))
    issuer.refresh()
    assert ask(local.token()).subject == "ann"


@pytest.mark.parametrize(
    ("begin", "drip"),
    [(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), (b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", b" ")],
    ids=["its headers", "its body"],
)
def test_an_issuer_that_answers_byte_by_byte_is_not_waited_for_for_ever(
    begin: bytes, drip: bytes, local: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuers, "FETCH", 0.5)
    with dripping(begin, drip) as url:
        issuer = Issuer(AccessSettings(**{**local.settings, "jwt_issuer": url}))
        refreshing = threading.Thread(target=issuer.refresh, daemon=True)
        refreshing.start()
        refreshing.join(15)
        assert not refreshing.is_alive()


def test_keys_are_not_fetched_without_tls(local: LocalIssuer) -> None:
    local.documents["/.well-known/openid-configuration"]["jwks_uri"] = "http://keys.example.com/"
    settings = AccessSettings(**local.settings)
    issuer = Issuer(settings)
    issuer.refresh()
    with pytest.raises(IdentityUnavailable):
        asyncio.run(Tokens(settings, issuer).caller(local.token()))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"auth": "basic"}, "OMS_AUTH"),
        ({"auth": ""}, "OMS_AUTH"),
        ({"auth": "none,jwt"}, "OMS_AUTH"),
        ({"auth": "jwt"}, "OMS_JWT_ISSUER"),
        ({"auth": "jwt", "jwt_issuer": "https://a.example.com"}, "OMS_JWT_AUDIENCE"),
        ({"auth": "jwt", "jwt_issuer": "http://a.example.com", "jwt_audience": "oms"}, "https://"),
        ({"jwt_algorithms": "none"}, "OMS_JWT_ALGORITHMS"),
        ({"jwt_algorithms": "RS256,HS256"}, "OMS_JWT_ALGORITHMS"),
        ({"jwt_algorithms": ""}, "OMS_JWT_ALGORITHMS"),
        ({"jwt_default_scopes": "orders:read,operator"}, "OMS_JWT_DEFAULT_SCOPES"),
        ({"cors_origins": "shop.example.com"}, "OMS_CORS_ORIGINS"),
        ({"cors_origins": "https://shop.example.com/"}, "OMS_CORS_ORIGINS"),
        ({"cors_origins": "https://Shop.example.com"}, "OMS_CORS_ORIGINS"),
        ({"cors_origins": "https://shop.example.com:443"}, "OMS_CORS_ORIGINS"),
        ({"cors_origins": "https://shop.example.com:port"}, "OMS_CORS_ORIGINS"),
        ({"cors_origins": "https://me@shop.example.com"}, "OMS_CORS_ORIGINS"),
        ({"cors_origins": "https://b\u00fccher.example"}, "OMS_CORS_ORIGINS"),
        ({"cors_origins": "https://"}, "OMS_CORS_ORIGINS"),
        ({"cors_origins": "*,https://shop.example.com"}, "OMS_CORS_ORIGINS"),
        ({"rate_limit": "100"}, "100/60"),
        ({"rate_limit": "0/60"}, "100/60"),
    ],
)
def test_settings_that_would_let_the_wrong_ones_in_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        AccessSettings(**given)
