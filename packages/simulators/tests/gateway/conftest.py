"""A gateway of each provider, on a real Postgres, and tokens of its test cards."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from uuid import uuid4

import pytest
from pydantic import SecretStr

from oms_gateway import Card, Gateway, Provider, Tokeniser, provider
from oms_simulators.payment.testcards import TEST_CARDS, Outcome

PROVIDERS = ["simulator"]
NUMBERS = {test_card.outcome: number for number, test_card in TEST_CARDS.items()}


@dataclass(frozen=True)
class Settings:
    database_url: str


@pytest.fixture(params=PROVIDERS)
def made_by(request: pytest.FixtureRequest) -> Provider:
    return provider(request.param)


@pytest.fixture
def gateway_at(made_by: Provider) -> Iterator[Callable[[str], Gateway]]:
    """Makes gateways with their books at a URL; they are closed after the test."""
    with ExitStack() as opened:
        yield lambda url: opened.enter_context(closing(made_by.gateway(Settings(url))))


@pytest.fixture
def gateway(gateway_at: Callable[[str], Gateway], database_url: str) -> Gateway:
    return gateway_at(database_url)


@pytest.fixture
def token(made_by: Provider, database_url: str) -> Callable[[Outcome], str]:
    tokeniser: Tokeniser = made_by.tokeniser(Settings(database_url))

    def of(outcome: Outcome) -> str:
        return tokeniser.tokenise(Card(SecretStr(NUMBERS[outcome]), SecretStr("123"), "12/34")).token

    return of


@pytest.fixture
def approved(token: Callable[[Outcome], str]) -> str:
    return token(Outcome.APPROVED)


@pytest.fixture
def order() -> str:
    return str(uuid4())
