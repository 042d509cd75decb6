"""An OpenID Connect issuer on this machine: discovery, keys, and tokens as a test wants them."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from support.serving import serving

AUDIENCE = "oms"


class LocalIssuer:
    """An issuer. `documents` are what it serves, by path, and `asked` are the paths that were requested. It is down if
    `is_away`, and does not answer while `silence` is held."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.asked: list[str] = []
        self.is_away = False
        self.silence = threading.Lock()
        self._keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        self.documents: dict[str, Any] = {
            "/.well-known/openid-configuration": {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        }
        self.rotate("first")

    def rotate(self, kid: str) -> None:
        """Sign with a new key from now on, and publish no other."""
        self._keys[kid] = ec.generate_private_key(ec.SECP256R1())
        self.kid = kid
        public = json.loads(ECAlgorithm.to_jwk(self._keys[kid].public_key()))
        self.documents["/keys"] = {"keys": [{**public, "kid": kid, "use": "sig", "alg": "ES256"}]}

    def token(self, subject: str = "ann", *scopes: str, kid: str | None = None, **claims: Any) -> str:
        """Return a token for these scopes; `claims` replace the usual ones, and None leaves a claim out."""
        usual = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": subject,
            "exp": time.time() + 300,
            "iat": time.time(),
            "scope": " ".join(scopes),
        }
        payload = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        return jwt.encode(payload, self._keys[self.kid], "ES256", {"kid": kid or self.kid})

    @property
    def settings(self) -> Mapping[str, Any]:
        """Return the settings of a service that accepts these tokens."""
        return {"auth": ("jwt",), "jwt_issuer": self.url, "jwt_audience": AUDIENCE}


@contextmanager
def local_issuer() -> Iterator[LocalIssuer]:
    """Run an issuer during the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            with issuer.silence:
                pass
            document = None if issuer.is_away else issuer.documents.get(self.path)
            self.send_response(404 if document is None else 200)
            self.end_headers()
            self.wfile.write(document if isinstance(document, bytes) else json.dumps(document).encode())

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        issuer = LocalIssuer(server.server_address[1])
        yield issuer
