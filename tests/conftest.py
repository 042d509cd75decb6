"""Fixtures of one platform that all tests here share, because starting it costs more than most of them.

With `-n`, one worker runs all of these tests (the root's conftest.py). Each uses orders of its own.
"""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from invariants import Sources
from support import catalogue, sharing
from support.collector import Collector, collecting
from support.deployment import Deployment
from support.otelcol import in_front_of
from support.programs import PROGRAMS

from oms_contracts.topics import SERVICES
from oms_platform.platform import Platform
from oms_servers.postgres import NO_FSYNC
from oms_servers.testing import memory_folder

RUNNING = pytest.StashKey[Platform]()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End the platform when a worker has finished its tests: even idle, it uses a fifth of a core."""
    is_worker = hasattr(item.config, "workerinput")
    if not is_worker or nextitem is None or nextitem.nodeid.startswith(sharing.ON_THE_PLATFORM):
        return
    if (platform := item.config.stash.get(RUNNING, None)) is not None:
        platform.kill()


@pytest.fixture(scope="session")
def platform_folder() -> Iterator[Path]:
    with memory_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """Yield the collector of the platform's spans, behind OpenTelemetry's own collector if that is installed."""
    with collecting() as collector, in_front_of(collector, tmp_path_factory.mktemp("collector")) as one:
        yield one


@pytest.fixture(scope="session")
def running_platform(request: pytest.FixtureRequest, platform_folder: Path, collector: Collector) -> Iterator[Platform]:
    """Yield the platform as it was first started."""
    more = {**PROGRAMS, "OMS_TRACES_ENDPOINT": collector.url}
    environment = {name: {**more, **catalogue.ENVIRONMENT.get(name, {})} for name in SERVICES}
    platform = Platform(platform_folder, environment=environment, postgres=NO_FSYNC)
    with platform:
        catalogue.await_known(platform.url)
        request.config.stash[RUNNING] = platform
        yield platform
        platform.kill()  # nobody needs its data, so it need not end in an orderly way


@pytest.fixture
def platform(running_platform: Platform) -> Iterator[Platform]:
    """Yield a platform on which everything runs. Programs that a test stopped are started again after it."""
    _start_what_is_down(running_platform)
    yield running_platform
    _start_what_is_down(running_platform)


def _start_what_is_down(platform: Platform) -> None:
    for server in reversed(platform.servers):
        if not server.is_alive():
            server.start()
            server.await_ready()


@pytest.fixture(scope="session")
def given() -> Deployment | None:
    """Return the deployment that OMS_URL names, if any. It may have been installed only a moment ago."""
    deployment = Deployment.given()
    if deployment is not None:
        catalogue.await_all_known(deployment.orders)
    return deployment


@pytest.fixture
def deployment(request: pytest.FixtureRequest, given: Deployment | None) -> Deployment:
    """Return the system under test: that of OMS_URL if it is set, or otherwise a platform of our own."""
    return given or Deployment.of(request.getfixturevalue("platform"))


@pytest.fixture
def sources(deployment: Deployment) -> Sources:
    """Return the sources for the checker of the invariants."""
    found = deployment.sources()
    if found is None:
        pytest.skip("the databases of OMS_URL's deployment cannot be reached from here")
    return found


@pytest.fixture
def orders(deployment: Deployment) -> Iterator[httpx2.Client]:
    """Yield a client of the order service."""
    with httpx2.Client(base_url=deployment.orders, timeout=20.0) as client:
        yield client


@pytest.fixture
def inventory(deployment: Deployment) -> Iterator[httpx2.Client]:
    """Yield a client of the inventory service."""
    if deployment.inventory is None:
        pytest.skip("OMS_INVENTORY_URL is not set: the inventory service cannot be reached from here")
    with httpx2.Client(base_url=deployment.inventory, timeout=20.0) as client:
        yield client


@pytest.fixture
def mailcatcher(deployment: Deployment) -> str:
    """Return the address of the mail catcher."""
    if deployment.mailcatcher is None:
        pytest.skip("OMS_MAILCATCHER_URL is not set: what the customer was sent cannot be seen from here")
    return deployment.mailcatcher
