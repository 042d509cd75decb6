"""Configuration of every service from environment variables with the prefix OMS_."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import SettingsConfigDict

from oms_chassis import certificates, hosts
from oms_chassis.access import AccessSettings
from oms_chassis.bounds import CENTURY, DAY, HOUR
from oms_chassis.logins import Name, Password
from oms_chassis.sessions import Limits

TOKEN_LENGTH = 20  # characters at least


class TopicSettings(BaseModel):
    """The partitions and settings that a topic should have; settings are named as Kafka names them."""

    partitions: int = Field(ge=1)
    config: dict[str, str] = {}


class Settings(AccessSettings):
    """A service's settings; each service adds its own. Times are in seconds."""

    model_config = SettingsConfigDict(env_prefix="OMS_", hide_input_in_errors=True, frozen=True, allow_inf_nan=False)

    database_url: str = Field(pattern=r"^postgresql://", description="postgresql://user:password@host:port/name")
    database_pool: int = Field(default=8, ge=5, le=100, description="connections, including reserved ones")
    database_statement_seconds: float = Field(
        default=5.0, ge=1, le=DAY, description="until the server ends a statement"
    )
    database_lock_seconds: float = Field(
        default=3.0, ge=0.1, le=DAY, description="until a statement's wait for a lock fails"
    )
    database_idle_seconds: float = Field(
        default=10.0, ge=1, le=DAY, description="until the server ends an idle transaction"
    )

    kafka_bootstrap: str = Field(min_length=1, description="host:port, several separated by commas")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    kafka_username: Name | None = None
    kafka_password: Password | None = None
    kafka_ca_file: Path | None = None
    kafka_cert_file: Path | None = None
    kafka_key_file: Path | None = None
    kafka_partitions: int = Field(default=3, ge=1, description="of each topic that the topics command creates")
    kafka_replication: int = Field(default=1, ge=1, description="of each topic that the topics command creates")
    kafka_min_in_sync: int | None = Field(
        default=None, ge=1, description="of each topic that is created; default: one less than the replication"
    )
    kafka_prefix: str = Field(
        default="", pattern=r"^[a-zA-Z0-9._-]{0,80}$", description="before the name of each topic and group"
    )
    kafka_topics: dict[str, TopicSettings] | None = Field(
        default=None,
        description="topics that the topics command reconciles; default: those of the contracts",
    )

    kafka_session_seconds: float = Field(
        default=10.0, ge=6, le=300, description="until the group removes a silent member"
    )

    state_folder: Path | None = Field(
        default=None,
        description="where a process keeps its member id for the process that replaces it; default: nowhere",
    )

    http_host: str = "0.0.0.0"  # noqa: S104 - a container is reached from outside
    http_port: int = Field(default=9090, ge=0, le=65535)
    internal_port: int = Field(default=9100, ge=0, le=65535)
    # Longer than any proxy in front keeps its connections (Google's: 600 s): a proxy that sends a request on a
    # connection just as it is closed answers 502, and does not repeat a POST.
    keep_alive_seconds: int = Field(default=620, ge=1, le=DAY, description="for how long a connection may be idle")
    body_limit: int = Field(default=64 * 1024, ge=1, description="bytes of a request's body")
    admin_token: SecretStr | None = Field(
        default=None,
        description="opens the admin API on the internal port; during a rotation several, separated by commas",
    )

    traces_endpoint: str | None = Field(
        default=None, pattern=r"^https?://", description="an OpenTelemetry collector (OTLP over HTTP); default: none"
    )
    traces_ratio: float = Field(default=1.0, ge=0, le=1, description="share of the traces that are recorded")

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "console"] = "json"

    drain_seconds: float = Field(default=20.0, gt=0, le=HOUR, description="within which a service stops")
    stall_seconds: float = Field(
        default=180.0, ge=60, le=DAY, description="a process is restarted when one of its loops has hung for so long"
    )
    migrate_on_start: bool = Field(default=False, description="migrate the database before serving")
    migrate_patience_seconds: float = Field(
        default=300.0, gt=0, le=DAY, description="for how long a migration waits to begin"
    )
    inbox_days: float = Field(
        default=9.0,
        gt=0,
        le=CENTURY,
        description="for how long a repeated message is recognised; not longer than orders are kept",
    )
    dead_job_days: float = Field(
        default=14.0,
        gt=0,
        le=CENTURY,
        description="for how long a call that was given up is kept, with its payload",
    )
    order_days: float | None = Field(
        default=None,
        ge=31,
        le=CENTURY,
        description="for how long data of an order is kept once it has ended; default: for ever",
    )
    job_lease_seconds: float = Field(
        default=20.0, ge=5, le=HOUR, description="until another worker takes over the call of a process that died"
    )
    dead_letter_days: float = Field(
        default=30.0,
        gt=0,
        le=CENTURY,
        description="for how long a dead letter can be redriven; not longer than orders are kept",
    )
    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")

    @field_validator("database_url")
    @classmethod
    def _is_an_address(cls, given: str) -> str:
        try:
            ports = str(conninfo_to_dict(given).get("port", "")).split(",")  # of several hosts
            is_one = all(0 < int(port or 1) < 1 << 16 for port in ports)
        except (ValueError, ProgrammingError):
            is_one = False
        if not is_one:
            form = "must be postgresql://user:password@host:port/name, with options that Postgres knows"
            raise PydanticCustomError("bad-address", form)
        return given

    @field_validator("kafka_bootstrap")
    @classmethod
    def _leads_to_brokers(cls, given: str) -> str:
        hosts.addresses(given)
        return given

    @field_validator("kafka_ca_file")
    @classmethod
    def _holds_certificates(cls, file: Path | None) -> Path | None:
        return file and certificates.authorities(file)

    @field_validator("admin_token")
    @classmethod
    def _cannot_be_guessed(cls, given: SecretStr | None) -> SecretStr | None:
        if any(len(token) < TOKEN_LENGTH or not token.isascii() for token in _tokens(given)):
            raise ValueError(f"must have {TOKEN_LENGTH} characters of ASCII at least, each of several")
        return given

    @model_validator(mode="after")
    def _logs_in_to_brokers_whole_or_not_at_all(self) -> Self:
        protocol, has_login = self.kafka_security_protocol, self.kafka_username or self.kafka_password
        if not protocol.startswith("SASL_"):
            if has_login:
                raise ValueError(f"OMS_KAFKA_SECURITY_PROTOCOL is {protocol}: OMS_KAFKA_USERNAME would not be sent")
        elif not (self.kafka_sasl_mechanism and self.kafka_username and self.kafka_password):
            names = "OMS_KAFKA_SASL_MECHANISM, OMS_KAFKA_USERNAME and OMS_KAFKA_PASSWORD"
            raise ValueError(f"OMS_KAFKA_SECURITY_PROTOCOL is {protocol}: it takes {names}")
        return self

    @model_validator(mode="after")
    def _shows_brokers_a_certificate_or_none(self) -> Self:
        certificate, key = self.kafka_cert_file, self.kafka_key_file
        if key is not None and certificate is None:
            raise ValueError("OMS_KAFKA_KEY_FILE would not be used: it goes with OMS_KAFKA_CERT_FILE")
        if certificate is not None:
            try:
                certificates.check_pair(certificate, key)
            except ValueError as error:
                raise ValueError(f"OMS_KAFKA_CERT_FILE and OMS_KAFKA_KEY_FILE are {error}") from None
        return self

    @model_validator(mode="after")
    def _no_event_outlives_its_order(self) -> Self:
        # A redrive, or a rewind, which goes as far back as the inbox, could otherwise apply the events of an order that
        # was cancelled, and deleted along with that fact: the order would be charged for.
        for name in ("dead_letter_days", "inbox_days"):
            if self.order_days is not None and getattr(self, name) > self.order_days:
                raise ValueError(f"OMS_{name.upper()} must not be above OMS_ORDER_DAYS: its events would find no order")
        return self

    @property
    def admin_tokens(self) -> Sequence[str]:
        """The tokens of the admin API, which is off if there are none."""
        return _tokens(self.admin_token)

    @property
    def shows_kafka_password(self) -> bool:
        """Whether the Kafka password is sent without encryption."""
        return (self.kafka_security_protocol, self.kafka_sasl_mechanism) == ("SASL_PLAINTEXT", "PLAIN")

    @property
    def limits(self) -> Limits:
        """Return how long a session with the database may wait."""
        return Limits(self.database_statement_seconds, self.database_lock_seconds, self.database_idle_seconds)


def _tokens(given: SecretStr | None) -> list[str]:
    return [token.strip() for token in (given.get_secret_value() if given else "").split(",") if token.strip()]
