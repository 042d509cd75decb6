"""One platform behind proxies for all incidents."""

from collections.abc import Iterator

import pytest
from support.proxied import Network, ProxiedPlatform, proxied_platform

from incidents.incident import Incident
from oms_platform.platform import Platform
from oms_servers.testing import temporary_folder

LAST_WORDS = 60  # lines of each service's log that a failed test shows


@pytest.fixture(scope="session")
def proxied() -> Iterator[ProxiedPlatform]:
    with temporary_folder() as folder, proxied_platform(folder) as running:
        yield running


@pytest.fixture
def network(proxied: ProxiedPlatform) -> Network:
    return proxied.network


@pytest.fixture
def platform(proxied: ProxiedPlatform) -> Platform:
    return proxied.platform


@pytest.fixture
def incident(proxied: ProxiedPlatform) -> Iterator[Incident]:
    """Yield the next incident, on a platform on which everything runs before and after it."""
    proxied.restore()
    logs = {name: service.log.stat().st_size for name, service in proxied.platform.services.items()}
    yield Incident(proxied.platform)
    for name, start in logs.items():
        _show(proxied.platform, name, start)
    proxied.restore()


def _show(platform: Platform, name: str, start: int) -> None:
    with platform.services[name].log.open("rb") as log:
        log.seek(start)
        for line in log.read().decode(errors="replace").splitlines()[-LAST_WORDS:]:
            print(f"{name}: {line}")  # noqa: T201 - pytest shows it when the test fails
