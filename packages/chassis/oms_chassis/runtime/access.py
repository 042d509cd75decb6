"""The public routes of a service, and the threads next to them: they look up API keys, write when keys were last used,
and fetch the issuer's keys."""

from collections.abc import Sequence

from starlette.types import ASGIApp

from oms_chassis.http import app as public
from oms_chassis.http.edge import Edge
from oms_chassis.http.identity import keyring
from oms_chassis.runtime.service import Components
from oms_chassis.runtime.threads import Loop, Task
from oms_chassis.settings import Settings
from oms_chassis.telemetry.logs import logger
from oms_chassis.telemetry.metrics import Metrics

log = logger(__name__)


def app(name: str, settings: Settings, components: Components, metrics: Metrics, edge: Edge) -> ASGIApp:
    """Return the application of a service's public routes, behind their edge."""
    return public.create(
        f"OMS {name}", components.routers, components.provides, metrics, settings.body_limit, edge=edge
    )


def writers(edge: Edge) -> Sequence[Loop]:
    """Return the threads that requests wait for."""
    keys = edge.authentication.keyring
    return [keys.lookups] if keys is not None else []


def tasks(edge: Edge) -> Sequence[Task]:
    """Return the periodic tasks, for which no request waits."""
    found, ways = [], edge.authentication
    if ways.keyring is not None:
        found.append(Task("api-key-uses", ways.keyring.write_uses, keyring.USES_EVERY))
    if ways.issuer is not None:
        found.append(Task("issuer-keys", ways.issuer.refresh, ways.issuer.look_seconds, first=0.0))
    return found


def announce(settings: Settings, *, is_public: bool) -> None:
    """Warn at every start if callers need not authenticate, or if the Kafka password is sent in plain text."""
    if is_public and settings.is_open:
        log.warning("open_to_everybody", hint="OMS_AUTH is none: whoever reaches the port may do everything")
    if settings.shows_kafka_password:
        log.warning("kafka_password_in_the_clear", hint="PLAIN over SASL_PLAINTEXT: use SCRAM, or SASL_SSL")
