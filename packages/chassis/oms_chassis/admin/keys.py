"""The routes for API keys, in services with public routes. They receive only the hash of a key, never the key
itself."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import AfterValidator, Field

from oms_chassis.admin import paging
from oms_chassis.admin.acts import Act
from oms_chassis.admin.paging import PREFIX, Cursor, Limit, Text
from oms_chassis.admin.problems import KeyExists, NoSuchKey
from oms_chassis.admin.service import Administered
from oms_chassis.http import cardnumbers, pages
from oms_chassis.http.bodies import Body, View
from oms_chassis.http.identity import keystore
from oms_chassis.http.identity.keystore import KeyRow
from oms_chassis.http.problems import InvalidRequest, documented
from oms_chassis.http.times import Moment
from oms_chassis.statements import Row

router = APIRouter(prefix=PREFIX)
KeyId = Annotated[str, Path(pattern=r"^[a-z0-9]{10}$")]
Scope = Annotated[str, Field(pattern=r"^[a-z][a-z-]{0,30}(:[a-z][a-z-]{0,30})?$")]


class KeyBody(Body):
    """PUT /admin/keys/{id}. The subject is shown in logs, so it must not be anybody's address or number."""

    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    subject: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:|-]{0,63}$"), AfterValidator(cardnumbers.without_in_id)
    ]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=20)]
    expires_at: Moment | None = None


class KeyView(View):
    """A key without its hash."""

    id: str
    subject: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


@router.get("/keys", summary="API keys, by id")
def list_keys(
    service: Administered, response: Response, subject: Text = None, limit: Limit = 50, cursor: Cursor = None
) -> list[KeyView]:
    """Pages by cursor: if there are more keys, the Link header leads to them."""
    after = paging.position("/keys", cursor, "", pages.text)
    rows = keystore.page(service.database, subject, after, limit + 1)
    return paging.page(response, "/keys", {"subject": subject, "limit": limit}, rows, KeyView.of)


@router.put("/keys/{key_id}", summary="Take a key", responses=documented(KeyExists))
def put_key(service: Administered, act: Act, key_id: KeyId, body: KeyBody) -> KeyView:
    """The same request again changes nothing."""
    scopes = sorted(set(body.scopes))
    with act.transaction(service.database) as transaction:
        rows, is_new = keystore.put(transaction, KeyRow(key_id, body.digest, body.subject, scopes, body.expires_at))
        if not rows:
            raise KeyExists
        if is_new:
            _check_lasts(rows[0])
            act.record(transaction, "keys.create", key_id, None, _state(rows[0], "valid"))
        return KeyView.of(rows[0])


@router.post("/keys/{key_id}/revoke", summary="Never take a key again", responses=documented(NoSuchKey))
def revoke_key(service: Administered, act: Act, key_id: KeyId) -> KeyView:
    """The key stops working once its cached state is older than OMS_KEY_CACHE_SECONDS. Its row stays."""
    with act.transaction(service.database) as transaction:
        found = keystore.lock(transaction, key_id)
        if not found:
            raise NoSuchKey
        (row,) = keystore.revoke(transaction, key_id)
        if found[0].revoked_at is None:
            act.record(transaction, "keys.revoke", key_id, _state(found[0], "valid"), _state(row, "revoked"))
        return KeyView.of(row)


def _check_lasts(row: Row) -> None:
    """Raise InvalidRequest for a key that has expired already, by the database's clock."""
    if row.expires_at is not None and row.expires_at <= row.created_at:
        raise InvalidRequest(("expiresAt", "must not be over"))


def _state(row: Row, state: str) -> dict[str, Any]:
    ends = row.expires_at.isoformat() if row.expires_at else None
    return {"state": state, "owner": row.subject, "scopes": row.scopes, "expiresAt": ends}
