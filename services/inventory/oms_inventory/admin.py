"""The Inventory Service's admin route: publishing all items again, after its database was restored from an older copy.

Readers keep the highest version of an item that they have seen, and ignore lower ones.
"""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from oms_chassis.admin.acts import Act
from oms_chassis.admin.paging import PREFIX
from oms_chassis.admin.service import Administered
from oms_chassis.http.bodies import PRINTABLE, Body, View
from oms_contracts.scalars import WHOLE
from oms_inventory import stock

router = APIRouter(prefix=PREFIX)
PORTION = 1000  # items per request


class Versions(Body):
    """The highest version that a reader may have of any item, and the last item of the previous portion."""

    above: Annotated[int, Field(ge=0, le=1_000_000_000), WHOLE]
    after: Annotated[str, Field(max_length=64, pattern=PRINTABLE)] = ""


class Published(View):
    """How many items were published; the next portion, if there is one, begins after `last`."""

    items: int
    last: str | None


@router.post("/items/publish", summary="Publish items as they are, under new versions")
def publish_items(service: Administered, act: Act, versions: Versions) -> Published:
    """Publishes items in portions, sorted by id. A repeated request publishes them again."""
    with act.transaction(service.database) as transaction:
        rows = stock.renew(transaction, versions.above, versions.after, PORTION)
        if rows:
            subject, what = f"{rows[0].id} to {rows[-1].id}", {"items": len(rows), "above": versions.above}
            act.record(transaction, "items.publish", subject, None, what)
    return Published(items=len(rows), last=rows[-1].id if len(rows) == PORTION else None)
