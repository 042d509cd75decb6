"""Tokens of a real OpenID Connect provider: zitadel's example server, as Go builds it from its pinned sources."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2
import pytest
from support.chassis import eventually

from oms_chassis.access import AccessSettings
from oms_chassis.http.identity.issuer import Issuer
from oms_chassis.http.identity.problems import CredentialsInvalid
from oms_chassis.http.identity.tokens import Tokens
from oms_servers.folders import caches, only_one
from oms_servers.testing import free_port

SERVER = "github.com/zitadel/oidc/v3/example/server@v3.52.0"
CLIENT, SECRET, CALLBACK = "web", "secret", "http://localhost:9999/auth/callback"
BUILD = 900.0  # seconds


def built() -> Path:
    """The server's executable, built once for all runs; the test is skipped if it cannot be built."""
    program = caches() / f"oidc-{SERVER.rpartition('@')[2]}" / "server"
    with only_one("oidc"):
        if not program.exists():
            go = shutil.which("go") or pytest.skip("go is not on the PATH")
            environment = {**os.environ, "GOBIN": str(program.parent), "CGO_ENABLED": "0"}
            done = subprocess.run(
                [go, "install", SERVER], env=environment, capture_output=True, timeout=BUILD, check=False
            )
            if done.returncode:
                pytest.skip("go could not build the provider")
    return program


@pytest.fixture(scope="module")
def provider() -> Iterator[httpx2.Client]:
    port = free_port()
    url = f"http://localhost:{port}"
    environment = {**os.environ, "PORT": str(port)}
    with (
        subprocess.Popen([built()], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server,
        httpx2.Client(base_url=url, timeout=30) as client,
    ):
        try:
            eventually(lambda: answers(client), within=60)
            yield client
        finally:
            server.kill()


def answers(client: httpx2.Client) -> bool:
    try:
        return client.get("/.well-known/openid-configuration").status_code == 200
    except httpx2.TransportError:
        return False


def logged_in(client: httpx2.Client, known: dict[str, str]) -> str:
    """Return the token of a user who logs in with the provider's own form."""
    asked = {"client_id": CLIENT, "redirect_uri": CALLBACK, "response_type": "code", "scope": "openid", "state": "s"}
    form = client.get(known["authorization_endpoint"], params=asked).headers["location"]
    request = parse_qs(urlsplit(form).query)["authRequestID"][0]
    login = {"id": request, "username": "test-user@localhost", "password": "verysecure"}
    back = client.post("/login/username", data=login).headers["location"]
    code = parse_qs(urlsplit(client.get(urljoin(str(client.base_url), back)).headers["location"]).query)["code"][0]
    exchange = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
    answer = client.post(known["token_endpoint"], data=exchange, auth=(CLIENT, SECRET))
    return str(answer.json()["id_token"])


def test_a_user_of_a_real_provider_is_a_caller_for_its_audience_and_no_other(provider: httpx2.Client) -> None:
    known = provider.get("/.well-known/openid-configuration").json()
    token = logged_in(provider, known)

    def tokens(audience: str) -> Tokens:
        settings = AccessSettings(
            auth=("jwt",),
            jwt_issuer=known["issuer"],
            jwt_audience=audience,
            jwt_default_scopes=("orders:read",),
        )
        issuer = Issuer(settings)
        issuer.refresh()
        return Tokens(settings, issuer)

    caller = asyncio.run(tokens(CLIENT).caller(token))
    assert (caller.subject, set(caller.scopes)) == ("id1", {"orders:read"})
    with pytest.raises(CredentialsInvalid):
        asyncio.run(tokens("another").caller(token))
