"""`oms keys`: the API keys of callers. A key is made here and shown once; services only get its hash."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from oms_chassis.http.identity import apikeys
from oms_chassis.http.identity.apikeys import NewKey
from oms_cli import show, unanswered
from oms_cli.admin import Admin
from oms_cli.answers import Refused
from oms_cli.client import Json
from oms_cli.options import As, DryRun, Reason, Urls, acting, group, reading
from oms_cli.output import AsJson, out
from oms_cli.paths import part
from oms_cli.portions import Portion, said
from oms_contracts.topics import SERVICES
from oms_platform.declarations import declaration
from oms_servers.errors import LocalError

MOST = 10_000  # keys of a service that are listed
_ID = re.compile(r"(?:oms_)?([a-z0-9]{10})|oms_([a-z0-9]{10})_.*")  # the latter is a whole key, or most of one
UNITS = {"h": "hours", "d": "days"}
SCOPES = ("orders:place", "orders:read", "orders:act", "items:write", "operator")

app = group("Make, list and revoke the API keys of callers (OMS_AUTH=api-key).")
KeyId = Annotated[str, typer.Argument(metavar="ID", help="A key's id, as `oms keys list` shows it, or the whole key.")]
Scopes = Annotated[
    list[str], typer.Option("--scope", help=f"What it allows; repeat it for each of {', '.join(SCOPES)}.")
]


class NotInAll(LocalError):
    """A key is in some of the services, and not in others."""


@app.command("create")
def create(
    owner: Annotated[str, typer.Option(help="Whose key it is: orders belong to their owner. No personal address.")],
    scope: Scopes,
    expires: Annotated[str, typer.Option(help="When it ends by itself, in hours or days: 12h, 90d; or never.")] = "90d",
    reason: Reason = None,
    name: As = None,
    urls: Urls = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and show it, once. To replace a key, make a second one: both work until the first is revoked.

    Example: `oms keys create --owner shop --scope orders:place --scope orders:read`
    """
    until, admin, key = _until(expires), acting(urls, name, reason), apikeys.new()
    _check(scope)
    body = {"digest": key.digest, "subject": owner, "scopes": scope, "expiresAt": until and until.isoformat()}
    _send(admin, key, {name: value for name, value in body.items() if value is not None})
    made = {"id": key.id, "key": key.text, "owner": owner, "scopes": scope, "expiresAt": until and until.isoformat()}
    out(made, lambda one: f"{one['key']}\n\nThis is shown once: keep it now. Its id is {one['id']}.", as_json=as_json)


@app.command("list")
def list_keys(
    owner: Annotated[str | None, typer.Option(help="Only this owner's.")] = None,
    urls: Urls = None,
    as_json: AsJson = False,
) -> None:
    """List keys, with their last use: do not revoke a key that is still in use."""
    admin = reading(urls)
    by_service = {name: said(_of(admin, name, owner), "--owner narrows them") for name in takers()}
    out(_merged(by_service), keys, as_json=as_json)


@app.command("revoke")
def revoke(
    key: KeyId,
    reason: Reason = None,
    dry_run: DryRun = False,
    name: As = None,
    urls: Urls = None,
    as_json: AsJson = False,
) -> None:
    """Revoke a key for good: within OMS_KEY_CACHE_SECONDS (5), every service refuses it.

    Example: `oms keys revoke 4f9c21abcd --reason "found in a repository"`
    """
    key = _id(key)
    admin = acting(urls, name, reason, dry_run)
    outcomes = {one: _revoked(admin, one, key) for one in takers()}
    failures = [f"{service}: {error.message}" for service, error in outcomes.items() if error and not _is_gone(error)]
    if failures:
        raise NotInAll(f"The key {key} may still work: " + "; ".join(failures), "Repeat the command")
    if all(outcomes.values()):
        raise LocalError(f"There is no key {key}", "`oms keys list` shows those that there are")
    done = {"id": key, "state": "valid" if dry_run else "revoked"}
    out(done, lambda one: f"the key {one['id']} {'would be' if dry_run else 'is'} revoked", as_json=as_json)


def takers() -> list[str]:
    """Return the services that accept keys: those that have routes for customers."""
    return [service for service in SERVICES if declaration(service).http]


def keys(found: Sequence[Json]) -> RenderableType:
    rows = (
        (one["id"], one["subject"], " ".join(one["scopes"]), show.styled(one["state"]), _moment(one["expiresAt"]),
         _moment(one["lastUsedAt"]), " ".join(one["worksIn"]))
        for one in found
    )  # fmt: skip
    headings = ("id", "owner", "scopes", "state", "expires", "last used", "works in")
    return show.table(headings, rows) if found else Text("no keys like that")


def _of(admin: Admin, service: str, owner: str | None) -> Portion:
    return admin.pages(service, "/admin/keys", MOST, subject=owner)


def _id(text: str) -> str:
    """Return the id in a text, which may also be a whole key that has leaked. Raises LocalError if there is none; its
    message does not contain the text, which may be a secret."""
    found = _ID.fullmatch(text.strip())
    if found is None:
        raise LocalError("What was given is no key id", "`oms keys list` shows them")
    return found[1] or found[2]


def _check(scopes: Iterable[str]) -> None:
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown:
        raise LocalError(f"{', '.join(unknown)} is no scope", f"There are: {', '.join(SCOPES)}")


def _until(text: str) -> datetime | None:
    if text == "never":
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,3})([hd])", text)
    if found is None:
        raise LocalError("--expires is hours or days, or never", "12h, 90d, never")
    return datetime.now(UTC) + timedelta(**{UNITS[found[2]]: int(found[1])})


def _send(admin: Admin, key: NewKey, body: Mapping[str, Any]) -> None:
    """Give a key's hash to every service that takes keys, or to none."""
    sent: list[str] = []
    try:
        for service in takers():
            sent.append(service)
            admin.act(service, f"/admin/keys/{key.id}", "PUT", **body)
    except LocalError as error:
        for service in sent:
            _revoked(admin, service, key.id)
        advice = "Repeat the command: it makes another key" if unanswered.is_open(error) else error.advice
        raise NotInAll(f"No key was made: {error.message}", advice) from None


def _revoked(admin: Admin, service: str, key_id: str) -> LocalError | None:
    """Revoke a key in one service. Return the error if it is not revoked."""
    try:
        admin.act(service, f"/admin/keys/{part(key_id)}/revoke")
    except LocalError as error:
        return error
    return None


def _is_gone(error: LocalError) -> bool:
    """Whether the service has no such key, so that it does not work there."""
    return isinstance(error, Refused) and error.status == 404


def _merged(by_service: Mapping[str, Sequence[Json]]) -> list[Json]:
    """Return one row for each key from all services, newest first. A key is valid while it works in any of them."""
    found: dict[str, Json] = {}
    for service, rows in by_service.items():
        for row in rows:
            known = found.setdefault(row["id"], {**row, "state": _state(row), "services": [], "worksIn": []})
            known["services"].append(service)
            if _state(row) == "valid":
                known["worksIn"].append(service)
                known["state"] = "valid"
            for name in ("lastUsedAt", "revokedAt"):
                known[name] = max(filter(None, (known[name], row[name])), default=None)
    return sorted(found.values(), key=lambda one: str(one["createdAt"]), reverse=True)


def _state(key: Json) -> str:
    """Return a key's state in one service."""
    if key["revokedAt"]:
        return "revoked"
    ends = key["expiresAt"]
    return "expired" if ends and datetime.fromisoformat(ends) <= datetime.now(UTC) else "valid"


def _moment(instant: str | None) -> str:
    return show.moment(instant) if instant else ""
