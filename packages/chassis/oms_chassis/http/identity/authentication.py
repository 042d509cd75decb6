"""Finds the caller of a request by its Authorization header, in the ways that the settings name."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from oms_chassis.access import AccessSettings
from oms_chassis.db import Database
from oms_chassis.http.identity import apikeys
from oms_chassis.http.identity.callers import ANYBODY, NOBODY, Caller
from oms_chassis.http.identity.keyring import STATEMENT, Keyring
from oms_chassis.http.identity.problems import CredentialsInvalid
from oms_chassis.sessions import Limits

if TYPE_CHECKING:
    from oms_chassis.http.identity.issuer import Issuer
    from oms_chassis.http.identity.tokens import Tokens


@dataclass(frozen=True)
class Authentication:
    """The ways in which callers authenticate. With neither keys nor tokens, everybody may do everything."""

    keyring: Keyring | None = None
    issuer: "Issuer | None" = None
    tokens: "Tokens | None" = None

    @classmethod
    def of(cls, settings: AccessSettings, database: Database) -> "Authentication":
        """Return the authentication that the settings ask for. Keys are looked up on a reserved connection. Nothing
        connects yet."""
        keyring = Keyring(_reserved(database), settings.key_cache_seconds) if settings.asks_for_keys else None
        return cls(keyring, *_tokens(settings)) if settings.asks_for_tokens else cls(keyring)

    @property
    def is_open(self) -> bool:
        """Whether callers need not authenticate."""
        return self.keyring is None and self.tokens is None

    async def caller(self, header: str | None) -> Caller:
        """Return the caller who sent this Authorization header. Raises CredentialsInvalid or IdentityUnavailable."""
        if self.is_open:
            return ANYBODY
        if header is None:
            return NOBODY
        scheme, _, credential = header.partition(" ")
        if scheme.lower() != "bearer":
            raise CredentialsInvalid
        return await self._bearer(credential.strip())

    async def _bearer(self, credential: str) -> Caller:
        if credential.startswith(apikeys.PREFIX) and self.keyring is not None:
            return await self.keyring.caller(credential)
        if self.tokens is not None and not credential.startswith(apikeys.PREFIX):
            return await self.tokens.caller(credential)
        raise CredentialsInvalid


def _tokens(settings: AccessSettings) -> "tuple[Issuer, Tokens]":
    # Imported here because cryptography and an HTTP client take ten megabytes, which a service without tokens saves.
    from oms_chassis.http.identity.issuer import Issuer
    from oms_chassis.http.identity.tokens import Tokens

    issuer = Issuer(settings)
    return issuer, Tokens(settings, issuer)


def _reserved(database: Database) -> Database:
    limits: Limits = database.limits.at_most(statement=STATEMENT, lock=STATEMENT)
    return database.reserve(limits=limits)
