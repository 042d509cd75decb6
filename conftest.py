"""Every test may ask for a real Postgres and a real Kafka."""

pytest_plugins = ["oms_local.testing"]
