"""The provider that OMS_GATEWAY=simulator names (see oms_gateway.providers)."""

from fastapi import APIRouter
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from oms_gateway import Gateway, Settings, Tokeniser
from oms_simulators.payment import operators as failing
from oms_simulators.payment.gateway import SimulatedGateway, SimulatedTokeniser


class SimulatorSettings(BaseSettings):
    """The simulator's own settings, from environment variables with the prefix OMS_SIMULATOR_."""

    model_config = SettingsConfigDict(env_prefix="OMS_SIMULATOR_", hide_input_in_errors=True, frozen=True)

    url: str | None = Field(
        default=None, description="the database of the simulator's ledger; by default a schema in the service's own"
    )


def tokeniser(_: Settings) -> Tokeniser:
    """Return the tokeniser, which turns test cards into tokens."""
    return SimulatedTokeniser()


def gateway(settings: Settings) -> Gateway:
    """Return the gateway, which charges tokens and records the charges in its ledger."""
    return SimulatedGateway(SimulatorSettings().url or settings.database_url)


def operators(gateway: SimulatedGateway) -> APIRouter:
    """Return the routes by which operators make this gateway fail."""
    return failing.routes(gateway.failures)
