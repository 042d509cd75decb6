"""The Order Service's configuration from environment variables, beyond what every service has."""

from pydantic import Field, SecretStr

from oms_chassis.settings import Settings


class OrderSettings(Settings):
    """Times are in seconds."""

    gateway: str = Field(default="simulator", description="the provider that turns a card into a token")
    default_region: str = Field(
        default="LK", pattern=r"^[A-Z]{2}$", description="the country of phone numbers that name none"
    )
    fingerprint_key: SecretStr = Field(
        default=SecretStr("development-only"), min_length=8, description="the HMAC key of idempotency fingerprints"
    )
    outbox_limit: int = Field(default=10_000, ge=1, description="orders are refused while more events wait to be sent")
    queue_limit: int = Field(default=4096, ge=1, description="orders are refused while more wait to be written")
    queue_seconds: float = Field(default=5.0, gt=0, description="an order that waits longer to be written is refused")
    require_idempotency_key: bool = Field(default=False, description="refuse orders without an Idempotency-Key")
    idempotency_days: float = Field(default=7.0, gt=0, description="for how long a key replays its first answer")
    catalogue_seconds: float = Field(
        default=1.0, gt=0, description="how old a price may be that other replicas know of"
    )
    stuck_seconds: float = Field(default=300.0, gt=0, description="an order that waits for longer is stuck")
    stream_poll_seconds: float = Field(default=0.2, gt=0)
    stream_heartbeat_seconds: float = Field(default=15.0, gt=0)
    stream_listeners: int = Field(default=1000, ge=1, description="listeners to order events, per process")
