"""The route by which a customer is erased from a service: its own rows, its dead letters, its quarantine, its jobs.

The order service knows which orders are a customer's. It is erased last, so that an erasure that was cut off can be
repeated.
"""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from oms_chassis.admin.acts import Act
from oms_chassis.admin.evidence import Subject
from oms_chassis.admin.paging import PREFIX
from oms_chassis.admin.problems import UnderWay
from oms_chassis.admin.service import Administered
from oms_chassis.http.bodies import STORABLE, Body, View
from oms_chassis.http.problems import documented
from oms_chassis.jobs import interventions
from oms_chassis.messaging import erasure

router = APIRouter(prefix=PREFIX)
Trace = Annotated[str, Field(min_length=5, max_length=200, pattern=STORABLE)]


class Erasure(Body):
    """Orders of the customer, and texts by which what is no event is known to be the customer's: as many as a request
    holds. A customer of more is erased by several."""

    subjects: Annotated[list[Subject], Field(max_length=1000)]
    texts: Annotated[list[Trace], Field(max_length=100, default_factory=list)]


class Erased(View):
    """How many rows of each kind were erased."""

    rows: int
    dead_letters: int
    quarantined: int
    jobs: int


@router.post("/customers/erase", summary="Erase a customer", responses=documented(UnderWay))
def erase_customer(service: Administered, act: Act, customer: Erasure) -> Erased:
    """All or nothing of this service. Once more, it erases nothing. The audit log has the orders' ids."""
    subjects = customer.subjects
    with act.transaction(service.database) as transaction:
        if interventions.is_waiting(transaction, subjects) or erasure.is_waiting(transaction, subjects):
            raise UnderWay(detail=f"{service.name} has calls or events about them that are still to be made.")
        found = erasure.erase(transaction, subjects, customer.texts)
        found["jobs"] = interventions.erase_dead(transaction, subjects)
        found["rows"] = service.erase(transaction, subjects) if service.erase else 0
        if any(found.values()):
            act.record(transaction, "customers.erase", "customer", {"orders": subjects}, found)
    return Erased(
        rows=found["rows"],
        dead_letters=found["deadLetters"],
        quarantined=found["quarantined"],
        jobs=found["jobs"],
    )
