"""Every test may ask for a real Postgres and a real Kafka; what starts servers of its own stays on one worker."""

import gc
from typing import Any

import pytest
import structlog
from hypothesis import settings
from support.clients import share_certificates
from support.sharing import ON_THE_PLATFORM
from xdist.scheduler import LoadScopeScheduling

_configure_logs = structlog.configure


def _configure_logs_uncached(**given: Any) -> None:
    """A module's logger would go on as a service's in later tests of this process, which look for what it says."""
    _configure_logs(**{**given, "cache_logger_on_first_use": False})


structlog.configure = _configure_logs_uncached
pytest_plugins = ["oms_servers.testing"]
share_certificates()
gc.disable()  # until all is collected: meanwhile nothing that it looks through is garbage, which takes it 4 s a worker

# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("oms", deadline=None)
settings.load_profile("oms")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In whatever order the rest is, tests of the one platform come first: it is ended when they are done."""
    items.sort(key=lambda item: not item.nodeid.startswith(ON_THE_PLATFORM))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What is there by now stays: to look through it takes the garbage collector 0.2 s, at each call of our code."""
    gc.collect()
    gc.freeze()
    gc.enable()


PLATFORM = "platform"
INCIDENTS = "tests/incidents/"  # they have a platform of their own, and mostly wait
# Not at the same time as the other one: two cores carry one.
ALSO_A_PLATFORM = (
    "packages/cli/tests/test_up.py",
    "packages/cli/tests/test_play.py",
    "tests/operators/test_repair.py",
    "tests/privacy/test_erasure.py",
)


# What takes longest goes first, so that the workers end together: what waits for time to pass, next to what needs
# both cores. The rest comes by how many tests a file has.
LONGEST = (
    PLATFORM,
    INCIDENTS,
    "packages/chassis/tests/service/test_process.py",
    "services/order/tests/test_process.py",
    "packages/chassis/tests/consumer/test_poison.py",
    "tests/chart/test_running.py",
    "packages/chassis/tests/test_progress.py",
    "tests/chart/test_alerts.py",
    "packages/chassis/tests/broker/test_source.py",
    "tests/chart/test_objectives.py",
    "packages/chassis/tests/test_membership.py",
    "tests/invariants/test_rules.py",
    "packages/chassis/tests/test_silent_connections.py",
    "services/order/tests/test_outages.py",
    "packages/simulators/tests/gateway/test_faults.py",
    "packages/servers/tests/test_servers.py",
    "packages/chassis/tests/test_sessions.py",
    "packages/chassis/tests/jobs/test_settling.py",
    "services/payment/tests/test_any_order.py",
    "services/order/tests/test_document.py",
    "services/inventory/tests/test_document.py",
    "services/inventory/tests/test_stock_adds_up.py",
    "tests/saga/test_two_orders.py",
    "tests/docs/test_structure.py",
    "tests/docs/test_site.py",
    "tests/operators/test_restore.py",
    "tests/incidents/test_network.py",
)


class ByFile(LoadScopeScheduling):  # type: ignore[misc] # xdist ships no types
    """Tests of one file share a worker, and what their module starts; those of the one platform do so all together.

    The marks that xdist's own loadgroup goes by do not reach its scheduler with pytest 9.2: it renames the items by an
    attribute that pytest no longer reads.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        if path.startswith(INCIDENTS):
            return INCIDENTS
        return PLATFORM if path.startswith((*ON_THE_PLATFORM, *ALSO_A_PLATFORM)) else path

    def _assign_work_unit(self, node: Any) -> None:
        if (longest := next((scope for scope in LONGEST if scope in self.workqueue), None)) is not None:
            self.workqueue.move_to_end(longest, last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile | None:
    return ByFile(config, log) if config.getoption("dist") == "loadgroup" else None
