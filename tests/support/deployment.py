"""The system under test: a deployment that the environment names, or a platform that the tests start."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from invariants import Sources

from oms_contracts.topics import SERVICES
from oms_platform.platform import Platform


@dataclass(frozen=True)
class Deployment:
    """Addresses without a trailing slash; None for what cannot be reached from here."""

    orders: str
    inventory: str | None = None
    mailcatcher: str | None = None
    databases: Mapping[str, str] | None = None
    kafka: str | None = None

    @classmethod
    def given(cls) -> Self | None:
        """Return the deployment that OMS_URL names, with OMS_INVENTORY_URL and OMS_MAILCATCHER_URL if they are set."""
        orders = os.environ.get("OMS_URL")
        if not orders:
            return None
        inventory, mailcatcher = (
            os.environ.get(name, "").rstrip("/") for name in ("OMS_INVENTORY_URL", "OMS_MAILCATCHER_URL")
        )
        return cls(orders.rstrip("/"), inventory or None, mailcatcher or None)

    @classmethod
    def of(cls, platform: Platform) -> Self:
        """Return the deployment of a platform on this machine."""
        databases = {name: platform.databases[name].url for name in SERVICES}
        return cls(platform.url, platform.inventory_url, platform.mailcatcher_url, databases, platform.kafka.bootstrap)

    def sources(self) -> Sources | None:
        """Return the sources for the checker of the invariants, if they can be reached."""
        if self.databases is None:
            return None
        return Sources(self.databases, self.mailcatcher, self.kafka)
