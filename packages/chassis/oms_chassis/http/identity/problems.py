"""The problems with which callers are refused.

Problem
  ├ CredentialsMissing   401
  ├ CredentialsInvalid   401
  ├ ScopeMissing         403
  ├ TooManyRequests      429
  └ IdentityUnavailable  503

An answer never says why a credential was refused: it may be somebody else's.
"""

from collections.abc import Mapping, Sequence

from oms_chassis.http.problems import Problem

_REALM = 'Bearer realm="oms"'


class CredentialsMissing(Problem):
    """The request has no credentials, or does not send them as `Authorization: Bearer`."""

    status, kind, title = 401, "credentials-missing", "This address asks who you are"
    headers: Mapping[str, str] = {"WWW-Authenticate": _REALM}


class CredentialsInvalid(Problem):
    """The key or the token is unknown, expired, revoked, or meant for somebody else."""

    status, kind, title = 401, "credentials-invalid", "The credentials are not valid"
    headers: Mapping[str, str] = {"WWW-Authenticate": f'{_REALM}, error="invalid_token"'}


class ScopeMissing(Problem):
    """The caller is known, but lacks a scope, which WWW-Authenticate names."""

    status, kind, title = 403, "scope-missing", "The credentials do not allow this"
    documented_headers = ("WWW-Authenticate",)

    def __init__(self, scopes: Sequence[str]) -> None:
        named = " ".join(scopes)
        challenge = f'{_REALM}, error="insufficient_scope", scope="{named}"'
        super().__init__(
            detail=f"The credentials lack a scope that this takes: {named}", headers={"WWW-Authenticate": challenge}
        )


class TooManyRequests(Problem):
    """The caller has used up its requests at this replica. It may send more after Retry-After."""

    status, kind, title = 429, "too-many-requests", "Too many requests"
    documented_headers = ("Retry-After", "RateLimit", "RateLimit-Policy")


class IdentityUnavailable(Problem):
    """The credentials cannot be verified at this moment."""

    status, kind, title = 503, "identity-unavailable", "The credentials cannot be verified now"
    headers: Mapping[str, str] = {"Retry-After": "1"}
