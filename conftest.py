"""Every test may ask for a real Postgres and a real Kafka."""

from hypothesis import settings

pytest_plugins = ["oms_local.testing"]

# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("oms", deadline=None)
settings.load_profile("oms")
