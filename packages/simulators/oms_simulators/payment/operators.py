"""The routes that control the payment simulator's failures, below the payment service's admin API."""

from typing import Any

from fastapi import APIRouter

from oms_chassis.admin.acts import Act
from oms_chassis.admin.paging import PREFIX
from oms_chassis.admin.service import Administered
from oms_chassis.http.problems import InvalidRequest
from oms_simulators.failures import Failures, NewFailure


def routes(failures: Failures) -> APIRouter:
    """Return the routes that list, set and clear failures. Changes are in the audit log, like any other."""
    router = APIRouter(prefix=f"{PREFIX}/simulator")

    @router.get("/failures")
    def list_failures() -> list[dict[str, Any]]:
        """List the active failures."""
        return failures.shown()

    @router.put("/failures")
    def set_failure(service: Administered, act: Act, new: NewFailure) -> list[dict[str, Any]]:
        """Turn one on."""
        try:
            failures.set(new)
        except ValueError as error:
            raise InvalidRequest(("kind", str(error))) from None
        with act.transaction(service.database) as transaction:
            act.record(transaction, "simulator.fail", new.kind, None, new.model_dump())
        return failures.shown()

    @router.delete("/failures")
    def clear_failures(service: Administered, act: Act) -> list[dict[str, Any]]:
        """Fail no more."""
        failures.clear()
        with act.transaction(service.database) as transaction:
            act.record(transaction, "simulator.clear", "gateway")
        return failures.shown()

    return router
