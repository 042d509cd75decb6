"""The SMS Service's configuration from environment variables, beyond what every service has."""

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from oms_chassis.settings import Settings, is_this_machine


class SmsSettings(Settings):
    """Times are in seconds."""

    sms_url: str = Field(pattern=r"^https?://[^/\s]+(/\S*)?$", description="where the SMS provider takes texts")
    sms_token: SecretStr | None = Field(default=None, description="the provider's bearer token")
    sms_from: str = Field(min_length=1, max_length=20, description="the sender that the customer sees")
    sms_timeout: float = Field(default=10.0, gt=0, description="for each answer of the provider")
    sms_call_seconds: float = Field(default=30.0, gt=0, description="for a whole call, however its answer arrives")
    sms_connections: int = Field(default=8, ge=1, le=64, description="texts on their way at the same time")

    @model_validator(mode="after")
    def _keeps_the_token_from_others(self) -> Self:
        url = urlsplit(self.sms_url)
        if self.sms_token is not None and url.scheme == "http" and not is_this_machine(url.hostname or ""):
            raise ValueError("OMS_SMS_TOKEN needs an https address in OMS_SMS_URL: it would go out unencrypted")
        return self
