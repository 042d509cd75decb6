"""The Order Service's configuration from environment variables, beyond what every service has."""

from collections.abc import Sequence
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from oms_chassis.bounds import CENTURY, HOUR, MONTH
from oms_chassis.settings import Settings
from oms_gateway import GatewayName
from oms_order import phones

_KNOWN_KEY = SecretStr("development-only")


class OrderSettings(Settings):
    """Times are in seconds."""

    # The default is not looked up, so that an image without a provider can migrate a database, too.
    gateway: GatewayName = Field(
        default="simulator", validate_default=False, description="the provider that turns a card into a token"
    )
    default_region: str = Field(
        default="LK", description="the country (ISO 3166: GB, not UK) of phone numbers without a country code"
    )
    fingerprint_key: SecretStr = Field(
        default=_KNOWN_KEY, min_length=8, description="the HMAC key of idempotency fingerprints"
    )
    fingerprint_key_previous: SecretStr | None = Field(
        default=None, min_length=8, description="the previous key, needed for idempotency_days after its replacement"
    )
    outbox_limit: int = Field(default=10_000, ge=1, description="orders are refused while more events wait to be sent")
    queue_limit: int = Field(default=4096, ge=1, description="orders are refused while more wait to be written")
    queue_seconds: float = Field(
        default=2.5, gt=0, le=HOUR, description="an order that waits longer to be written is refused"
    )
    answer_seconds: float = Field(
        default=4.5,
        gt=0,
        le=HOUR,
        description="an order is answered within this time, if need be with an unknown outcome",
    )
    require_idempotency_key: bool = Field(default=False, description="refuse orders without an Idempotency-Key")
    idempotency_days: float = Field(
        default=7.0, gt=0, le=CENTURY, description="for how long a key replays its first answer"
    )
    catalogue_seconds: float = Field(
        default=1.0, gt=0, le=HOUR, description="between two refreshes of the prices in memory"
    )
    accept_sold_out: bool = Field(
        default=False,
        description="accept orders of items that are known to be sold out; the inventory decides once they are paid",
    )
    cancel_seconds: float = Field(
        default=0.0, ge=0, le=MONTH, description="for how long a customer may cancel an order after it is CONFIRMED"
    )
    order_deadline_seconds: float = Field(
        default=7200.0,
        gt=0,
        le=MONTH,
        description="an order that waits longer for its payment or its stock is cancelled and refunded",
    )
    stuck_seconds: float = Field(default=300.0, gt=0, le=MONTH, description="an order that waits for longer is stuck")
    stream_poll_seconds: float = Field(
        default=0.2, gt=0, le=HOUR, description="between two polls for the events that listeners wait for"
    )
    stream_heartbeat_seconds: float = Field(
        default=15.0, gt=0, le=HOUR, description="between two heartbeats to a listener"
    )
    stream_listeners: int = Field(default=1000, ge=1, description="listeners to order events, per process")

    @field_validator("default_region")
    @classmethod
    def _is_a_country(cls, given: str) -> str:
        return phones.region(given)

    @property
    def fingerprint_keys(self) -> Sequence[SecretStr]:
        """The key that makes fingerprints, and the previous one, which may have made some that are still stored."""
        keys = [self.fingerprint_key, self.fingerprint_key_previous]
        return [key for key in keys if key is not None]

    @model_validator(mode="after")
    def _has_a_key_of_its_own(self) -> Self:
        if self.gateway != "simulator" and self.fingerprint_key == _KNOWN_KEY:
            raise ValueError("OMS_FINGERPRINT_KEY must be set: its default is public, and only for the simulator")
        return self
