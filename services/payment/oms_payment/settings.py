"""The payment service's settings."""

from pydantic import Field

from oms_chassis.settings import Settings


class PaymentSettings(Settings):
    """What the service needs beyond the settings that all share."""

    gateway: str = "simulator"
    simulator_url: str | None = Field(
        default=None, description="the database of the simulator's ledger; by default a schema in the service's own"
    )

    @property
    def gateway_url(self) -> str:
        """Where the gateway is."""
        return self.simulator_url or self.database_url
