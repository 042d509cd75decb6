"""The Email Service's configuration from environment variables, beyond what every service has."""

from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from oms_chassis import certificates, hosts
from oms_chassis.bounds import HOUR
from oms_chassis.hosts import is_this_machine
from oms_chassis.logins import Name, Password
from oms_chassis.quotas import OptionalQuota
from oms_chassis.settings import Settings
from oms_email import domain

_IMPLICIT_TLS_PORT = 465  # RFC 8314


class EmailSettings(Settings):
    """Times are in seconds."""

    smtp_host: str = Field(min_length=1)
    smtp_port: int = Field(ge=1, le=65535)
    smtp_username: Name | None = None
    smtp_password: Password | None = None
    smtp_starttls: bool = Field(default=False, description="encrypt; the server needs a valid certificate")
    smtp_implicit_tls: bool = Field(default=False, description="the same, from the first byte on (port 465)")
    smtp_ca_file: Path | None = Field(default=None, description="certificates to trust, not the system's")
    smtp_timeout: float = Field(
        default=10.0, gt=0, le=HOUR, description="for each answer of the mail server except the last"
    )
    smtp_mail_timeout: float = Field(
        default=600.0, gt=0, le=HOUR, description="for the answer to a mail that was sent completely"
    )
    smtp_connections: int = Field(default=8, ge=1, le=64, description="mails in progress at the same time")
    recipient_limit: OptionalQuota = Field(
        default=None, description="mails to one recipient in so many seconds, such as 10/3600; further mails are held"
    )
    email_from: str = Field(description='orders@example.com or "Our shop <orders@example.com>"')

    @property
    def mail_seconds(self) -> float:
        """The longest that a mail may take, in seconds: the connection, at most twelve answers, and the last one."""
        return self.smtp_mail_timeout + 13 * self.smtp_timeout

    @property
    def is_encrypted(self) -> bool:
        """Whether the connection is encrypted."""
        return self.smtp_starttls or self.smtp_implicit_tls

    @field_validator("smtp_host")
    @classmethod
    def _can_be_looked_up(cls, host: str) -> str:
        return hosts.checked(host)

    @field_validator("smtp_ca_file")
    @classmethod
    def _holds_certificates(cls, file: Path | None) -> Path | None:
        return file and certificates.authorities(file)

    @field_validator("email_from")
    @classmethod
    def _has_an_address(cls, value: str) -> str:
        domain.sender(value)
        return value

    @model_validator(mode="after")
    def _encrypts_in_one_way(self) -> Self:
        if self.smtp_starttls and self.smtp_implicit_tls:
            raise ValueError("OMS_SMTP_STARTTLS and OMS_SMTP_IMPLICIT_TLS exclude each other")
        if self.smtp_port == _IMPLICIT_TLS_PORT and not self.smtp_implicit_tls:
            raise ValueError("port 465 is encrypted from its first byte: it needs OMS_SMTP_IMPLICIT_TLS, not STARTTLS")
        return self

    @model_validator(mode="after")
    def _logs_in_whole_and_unseen(self) -> Self:
        password = self.smtp_password.get_secret_value() if self.smtp_password else ""
        has_password = bool(password)
        if bool(self.smtp_username) != has_password:
            raise ValueError("OMS_SMTP_USERNAME and OMS_SMTP_PASSWORD are set together or not at all")
        if not f"{self.smtp_username}{password}".isascii():
            raise ValueError("OMS_SMTP_USERNAME and OMS_SMTP_PASSWORD must be ASCII: smtplib sends nothing else")
        if has_password and not self.is_encrypted and not is_this_machine(self.smtp_host):
            raise ValueError("a login needs OMS_SMTP_STARTTLS or OMS_SMTP_IMPLICIT_TLS: it would go out unencrypted")
        return self
