"""The payment service's settings."""

from pydantic import Field

from oms_chassis.settings import Settings


class PaymentSettings(Settings):
    """What the service needs beyond the settings that all share."""

    gateway: str = "simulator"
    gateway_connections: int = Field(
        default=8, ge=1, le=64, description="charges on their way at the same time; a gateway far away wants more"
    )
    simulator_url: str | None = Field(
        default=None, description="the database of the simulator's ledger; by default a schema in the service's own"
    )

    @property
    def gateway_url(self) -> str:
        """Where the gateway is."""
        return self.simulator_url or self.database_url
