"""Where the system under test is: any address given by the environment, or a platform that the tests start."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from invariants import Sources

from oms_contracts.topics import SERVICES
from oms_platform.platform import Platform


@dataclass(frozen=True)
class Deployment:
    """Addresses without a slash at the end; None for what cannot be reached from here."""

    orders: str
    inventory: str | None = None
    mailcatcher: str | None = None
    databases: Mapping[str, str] | None = None
    kafka: str | None = None

    @classmethod
    def given(cls) -> Self | None:
        """The deployment that OMS_URL names, with OMS_INVENTORY_URL and OMS_MAILCATCHER_URL where they are set."""
        orders = os.environ.get("OMS_URL")
        if not orders:
            return None
        inventory, mailcatcher = (
            os.environ.get(name, "").rstrip("/") for name in ("OMS_INVENTORY_URL", "OMS_MAILCATCHER_URL")
        )
        return cls(orders.rstrip("/"), inventory or None, mailcatcher or None)

    @classmethod
    def of(cls, platform: Platform) -> Self:
        """A platform of this machine."""
        databases = {name: platform.databases[name].url for name in SERVICES}
        return cls(platform.url, platform.inventory_url, platform.mailcatcher_url, databases, platform.kafka.bootstrap)

    def sources(self) -> Sources | None:
        """What the checker of the invariants reads, if it can be reached."""
        if self.databases is None:
            return None
        return Sources(self.databases, self.mailcatcher, self.kafka)
