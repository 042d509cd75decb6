"""The SMS Service's configuration from environment variables, beyond what every service has."""

import re
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from oms_chassis import hosts
from oms_chassis.bounds import HOUR
from oms_chassis.hosts import is_this_machine
from oms_chassis.logins import Name
from oms_chassis.quotas import OptionalQuota
from oms_chassis.settings import Settings
from oms_notifications.limits import PrefixQuotas
from oms_sms import proxies


class SmsSettings(Settings):
    """Times are in seconds."""

    sms_url: str = Field(
        pattern=r"^https?://[!-.0-~]+(/[!-~]*)?$",
        description="the address to which texts are posted, through HTTPS_PROXY if it is https and not in NO_PROXY;"
        " its login is OMS_SMS_TOKEN",
    )
    sms_token: SecretStr | None = Field(default=None, description="the provider's bearer token")
    sms_from: Name = Field(min_length=1, max_length=20, description="the sender that the customer sees")
    sms_timeout: float = Field(default=10.0, gt=0, le=HOUR, description="for each step of a call to the provider")
    sms_call_seconds: float = Field(
        default=30.0, gt=0, le=HOUR, description="for a whole call, however slowly its answer arrives"
    )
    sms_connections: int = Field(default=8, ge=1, le=64, description="texts in progress at the same time")
    recipient_limit: OptionalQuota = Field(
        default=None, description="texts to one recipient in so many seconds, such as 10/3600; further texts are held"
    )
    prefix_limits: PrefixQuotas = Field(
        default=(),
        description="texts by the beginning of the number: +94=1000/3600,+=100/3600, where + is every other country",
    )

    @field_validator("sms_url")
    @classmethod
    def _is_sent_in_whole(cls, url: str) -> str:
        if "@" in urlsplit(url).netloc:
            raise ValueError("must have no login before its host: it is not sent, and a token belongs in OMS_SMS_TOKEN")
        if "#" in url:
            raise ValueError("must have no #, because what follows it is not sent; a token belongs in OMS_SMS_TOKEN")
        return url

    @field_validator("sms_token")
    @classmethod
    def _can_be_a_header(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and not re.fullmatch("[!-~]+", token.get_secret_value()):
            raise ValueError("must be visible ASCII characters, without spaces or line ends")
        return token

    @model_validator(mode="after")
    def _keeps_the_token_from_others(self) -> Self:
        url = urlsplit(self.sms_url)
        if url.port == 0:  # reading it raises ValueError if it is not a number in range
            raise ValueError("OMS_SMS_URL has an impossible port")
        hosts.checked(url.hostname or "")
        if url.scheme == "https":
            proxies.before(url.hostname or "", url.port or 443)
        if self.sms_token is not None and url.scheme == "http" and not is_this_machine(url.hostname or ""):
            raise ValueError("OMS_SMS_TOKEN needs an https address in OMS_SMS_URL: it would go out unencrypted")
        return self
