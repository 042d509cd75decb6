"""The route that erases a customer from a service: from its own rows, dead letters, quarantine and jobs.

The order service knows which orders belong to a customer. It is erased last, so that an erasure that was interrupted
can be repeated.
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
    """The customer's orders, and texts that identify the customer in records that are not events. A customer with more
    of them than fit into a request is erased by several."""

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
    """Erases all of the customer's data in this service, or nothing. Repeating it erases nothing more. The audit log
    keeps the ids of the orders."""
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
