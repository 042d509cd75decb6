"""Every test may ask for a real Postgres and a real Kafka."""

import pytest
from hypothesis import settings

pytest_plugins = ["oms_local.testing"]

# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("oms", deadline=None)
settings.load_profile("oms")


@pytest.hookimpl(tryfirst=True)  # xdist reads the marks in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one file share a worker, and what their module starts; tests/conftest.py groups those of a platform."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if not {"running_platform", "deployment"} & set(fixtures):
            item.add_marker(pytest.mark.xdist_group(str(item.path)))
