"""A gateway whose calls fail as planned, for tests of its callers."""

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from enum import Enum
from typing import TypeVar

from pydantic import SecretStr

from oms_gateway.cards import Card
from oms_gateway.contract import Charge, Dispute, FailedRefund, Gateway, Refund
from oms_gateway.errors import GatewayClosed, GatewayUnavailable, OutcomeUnknown
from oms_simulators.payment.gateway import SimulatedTokeniser
from oms_simulators.payment.testcards import TEST_CARDS, Outcome

T = TypeVar("T")


class Fault(Enum):
    """What the connection does to one call."""

    NONE = "the call goes through"
    NOT_TAKEN = "the call does not get through"
    CLOSED = "the gateway takes no call for now, and says for how long"
    ANSWER_LOST = "the call is carried out, and its answer is lost"


def token(outcome: Outcome) -> str:
    """Return a token of the simulator whose charge has this outcome."""
    number = next(number for number, card in TEST_CARDS.items() if card.outcome is outcome)
    return SimulatedTokeniser().tokenise(Card(SecretStr(number), SecretStr("123"), "12/34")).token


class FlakyGateway:
    """A gateway behind a connection with planned faults: one for each of the next calls of a method, then none."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._plans: dict[str, deque[Fault]] = defaultdict(deque)
        self.calls: list[str] = []
        self.close = gateway.close

    def plan(self, method: str, *faults: Fault) -> None:
        """Plan the faults of the next calls of this method."""
        self._plans[method].extend(faults)

    def reset(self) -> None:
        """Nothing more is planned."""
        self._plans.clear()

    def charge(self, key: str, token: str, amount: int, currency: str) -> Charge:
        """See Gateway.charge."""
        return self._call("charge", lambda: self._gateway.charge(key, token, amount, currency))

    def find(self, key: str) -> Charge | None:
        """See Gateway.find."""
        return self._call("find", lambda: self._gateway.find(key))

    def abandon(self, key: str) -> Charge:
        """See Gateway.abandon."""
        return self._call("abandon", lambda: self._gateway.abandon(key))

    def refund(self, key: str, charge_id: str, amount: int) -> Refund:
        """See Gateway.refund."""
        return self._call("refund", lambda: self._gateway.refund(key, charge_id, amount))

    def find_refund(self, key: str) -> Refund | None:
        """See Gateway.find_refund."""
        return self._call("find_refund", lambda: self._gateway.find_refund(key))

    def refunds_of(self, charge_id: str) -> Sequence[Refund]:
        """See Gateway.refunds_of."""
        return self._call("refunds_of", lambda: self._gateway.refunds_of(charge_id))

    def disputes(self, days: float) -> Sequence[Dispute]:
        """See Gateway.disputes."""
        return self._call("disputes", lambda: self._gateway.disputes(days))

    def failed_refunds(self, days: float) -> Sequence[FailedRefund]:
        """See Gateway.failed_refunds."""
        return self._call("failed_refunds", lambda: self._gateway.failed_refunds(days))

    def _call(self, method: str, call: Callable[[], T]) -> T:
        self.calls.append(method)
        fault = self._plans[method].popleft() if self._plans[method] else Fault.NONE
        if fault is Fault.NOT_TAKEN:
            raise GatewayUnavailable(fault.value)
        if fault is Fault.CLOSED:
            raise GatewayClosed(429, 30.0)
        answer = call()
        if fault is Fault.ANSWER_LOST:
            raise OutcomeUnknown(fault.value)
        return answer
