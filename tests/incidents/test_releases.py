"""The previous release and this one run together on the same topics and databases, with orders in flight."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from support import catalogue, history
from support.programs import UNMEASURED
from support.releases import BEFORE, Releases

from incidents.incident import Incident
from oms_contracts.topics import SERVICES
from oms_platform.platform import Platform
from oms_servers.postgres import NO_FSYNC
from oms_servers.testing import temporary_folder

pytestmark = [pytest.mark.incidents, pytest.mark.timeout(900)]


@pytest.fixture
def earlier() -> Iterator[tuple[Platform, Releases]]:
    """Run a platform of the previous release, which has made its tables."""
    if reason := history.obstacle(BEFORE):
        pytest.skip(reason)
    with temporary_folder() as folder:
        both = Releases(folder / "releases")
        for name in SERVICES:
            both.install(name, before=True)
        environment = {
            name: {**UNMEASURED, **catalogue.ENVIRONMENT.get(name, {}), **both.environment[name]} for name in SERVICES
        }
        with Platform(folder, environment=environment, postgres=NO_FSYNC) as platform:
            catalogue.await_known(platform.url)
            yield platform, both
            platform.kill()  # nobody needs its data, so it need not end in an orderly way


def test_services_are_updated_in_turn_and_rolled_back_without_harm_to_any_order(
    earlier: tuple[Platform, Releases],
) -> None:
    platform, both = earlier
    first = revision(platform)
    update, back = (replaced(platform, both, before=before) for before in (False, True))
    Incident(platform).run("services are updated to this release, in turn", update, 0.0)
    newest = revision(platform)
    assert newest > first
    Incident(platform).run("services are rolled back to the release before, in turn", back, 0.0)
    assert revision(platform) == newest


@contextmanager
def replaced(platform: Platform, both: Releases, *, before: bool) -> Iterator[None]:
    """Replace each service by the other release, as in a rolling update: start a new process, then stop the old one."""
    for name, service in platform.services.items():
        with both.next_to(platform, name, before=before):
            both.install(name, before=before)
            service.restart()
    yield


def revision(platform: Platform) -> str:
    """Return the inventory's last migration."""
    with psycopg.connect(platform.databases["inventory"].url) as connection:
        (found,) = connection.execute("SELECT version_num FROM alembic_version").fetchone() or ("",)
        return str(found)
