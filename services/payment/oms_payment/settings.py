"""The Payment Service's configuration from environment variables, beyond what every service has."""

from pydantic import Field

from oms_chassis.bounds import DAY, MONTH
from oms_chassis.settings import Settings
from oms_gateway import GatewayName


class PaymentSettings(Settings):
    """Times are in seconds."""

    # The default is not looked up, so that an image without a provider can migrate a database, too.
    gateway: GatewayName = Field(
        default="simulator",
        validate_default=False,
        description="the provider that charges, as oms_gateway.providers names it",
    )
    gateway_connections: int = Field(
        default=8, ge=1, le=64, description="charges in progress at the same time; a gateway far away needs more"
    )
    charge_patience_seconds: float = Field(
        default=1800.0,
        gt=0,
        le=MONTH,
        description="how long a charge whose calls fail is tried, and for five calls at least, before it is given up",
    )
    disputes_seconds: float = Field(
        default=300.0,
        gt=0,
        le=DAY,
        description="between two questions for disputes and for refunds that customers' banks have sent back",
    )
