"""Settings for who may use a service's public routes, and how often. Times are in seconds."""

from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from oms_chassis.bounds import DAY
from oms_chassis.hosts import checked, is_this_machine
from oms_chassis.logins import Name
from oms_chassis.quotas import OptionalQuota

API_KEY, JWT = "api-key", "jwt"
# Algorithms whose signatures a public key verifies. With a shared secret (HS256), every verifier could also sign.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_PORTS = {"http": 80, "https": 443}  # default ports, which browsers leave out of an origin


def _listed(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Listed = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]


class AccessSettings(BaseSettings):
    """What the HTTP edge asks of callers: nothing, unless `auth` says otherwise."""

    model_config = SettingsConfigDict(env_prefix="OMS_", hide_input_in_errors=True, frozen=True, allow_inf_nan=False)

    auth: Listed = Field(default=("none",), description="none, api-key, jwt, or api-key,jwt")
    key_cache_seconds: float = Field(
        default=5.0, gt=0, le=60, description="for how long a key is cached: a revoked one works no longer than that"
    )
    jwt_issuer: Name | None = Field(default=None, description="the issuer's URL, as in the iss of tokens")
    jwt_audience: Name | None = Field(default=None, min_length=1, description="the aud that tokens must have")
    jwt_algorithms: Listed = Field(default=("RS256", "ES256"), description="accepted signatures")
    jwt_scope_claim: str = Field(default="scope", min_length=1, description="a text with spaces, or a list")
    jwt_default_scopes: Listed = Field(default=(), description="scopes that every token has in addition to its own")
    jwt_subject_claim: str = Field(default="sub", min_length=1, description="the caller, who owns its orders")
    jwt_leeway_seconds: float = Field(default=30.0, ge=0, le=300, description="how far clocks may differ")
    jwt_keys_seconds: float = Field(default=300.0, ge=1, le=DAY, description="between two fetches of the issuer's keys")

    rate_limit: OptionalQuota = Field(
        default=None, description="requests per caller and number of seconds, at each replica: 100/60"
    )
    cors_origins: Listed = Field(default=(), description="origins whose pages may call: https://shop.example.com, or *")
    security_headers: bool = Field(default=True, description="whether answers have security headers for browsers")
    hsts_seconds: int = Field(
        default=0, ge=0, le=315_360_000, description="for how long browsers must use TLS; 0: no such header"
    )

    @property
    def asks_for_keys(self) -> bool:
        """Whether callers may authenticate with an API key."""
        return API_KEY in self.auth

    @property
    def asks_for_tokens(self) -> bool:
        """Whether callers may authenticate with an issuer's token."""
        return JWT in self.auth

    @property
    def is_open(self) -> bool:
        """Whether callers need not authenticate."""
        return self.auth == ("none",)

    @model_validator(mode="after")
    def _ways_are_known(self) -> Self:
        if not self.is_open and not (self.auth and set(self.auth) <= {API_KEY, JWT}):
            raise ValueError("OMS_AUTH must be none, api-key, jwt, or api-key,jwt")
        return self

    @model_validator(mode="after")
    def _tokens_can_be_verified(self) -> Self:
        if self.asks_for_tokens and not (self.jwt_issuer and self.jwt_audience):
            raise ValueError("OMS_JWT_ISSUER and OMS_JWT_AUDIENCE must be set for OMS_AUTH=jwt")
        if "operator" in self.jwt_default_scopes:
            raise ValueError("OMS_JWT_DEFAULT_SCOPES must not make everybody an operator")
        if not self.jwt_algorithms or not set(self.jwt_algorithms) <= set(ALGORITHMS):
            raise ValueError(f"OMS_JWT_ALGORITHMS must be of {', '.join(ALGORITHMS)}")
        if self.jwt_issuer and not is_safe_url(self.jwt_issuer):
            raise ValueError("OMS_JWT_ISSUER must begin with https://, unless it is on this machine")
        return self

    @model_validator(mode="after")
    def _origins_are_origins(self) -> Self:
        if self.cors_origins != ("*",) and not all(map(_is_origin, self.cors_origins)):
            raise ValueError(
                "OMS_CORS_ORIGINS must be origins as browsers send them (https://shop.example.com: in small letters,"
                " without a path, and without port 443), or * alone"
            )
        return self


def is_safe_url(url: str) -> bool:
    """Whether content from a URL cannot be forged on its way: forged keys would let anybody in."""
    parts = urlsplit(url)
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and is_this_machine(parts.hostname or ""))
    )


def _is_origin(text: str) -> bool:
    """Whether a browser would send exactly this text as an origin (RFC 6454, 6.2)."""
    try:
        parts = urlsplit(text)
        host, port = checked(parts.hostname or ""), parts.port
    except ValueError:
        return False
    shown = f"[{host}]" if ":" in host else host
    written = f"{parts.scheme}://{shown}" + ("" if port in (None, _PORTS.get(parts.scheme)) else f":{port}")
    return parts.scheme in _PORTS and host.isascii() and text == written
