"""What the Email Service can be told from outside, beyond what every service can."""

from pydantic import Field, SecretStr, field_validator

from oms_chassis.settings import Settings
from oms_email import domain


class EmailSettings(Settings):
    """Times are in seconds."""

    smtp_host: str = Field(min_length=1)
    smtp_port: int = Field(ge=1, le=65535)
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_starttls: bool = Field(default=False, description="encrypt; the server needs a valid certificate")
    smtp_timeout: float = Field(default=10.0, gt=0, description="for each answer of the mail server")
    smtp_connections: int = Field(default=8, ge=1, le=64, description="mails on their way at the same time")
    email_from: str = Field(description='orders@example.com or "Our shop <orders@example.com>"')

    @field_validator("email_from")
    @classmethod
    def _has_an_address(cls, value: str) -> str:
        domain.sender(value)
        return value
