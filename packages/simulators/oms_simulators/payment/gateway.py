"""A gateway without a network: the card's number determines the outcome, and money only exists in the ledger."""

import secrets
import time
from collections.abc import Mapping, Sequence

from oms_gateway.cards import Card, Token
from oms_gateway.contract import ABANDONED, Charge, Dispute, FailedRefund, Refund, RefundStatus
from oms_gateway.errors import CardRefused, GatewayClosed, GatewayUnavailable, OutcomeUnknown, RequestRefused
from oms_simulators.failures import Failures
from oms_simulators.payment.ledger import Ledger
from oms_simulators.payment.testcards import TEST_CARDS, Outcome

SLOW_SECONDS = 2.0
BUSY_SECONDS = 3.0
REFUND_SECONDS = 10.0  # until a pending refund ends, or a successful one fails
_OUTCOMES = {outcome.value: outcome for outcome in Outcome}
# How refunds end that do not end at once, and their status until then. The failures on demand have the same names.
_ENDS: Mapping[str, tuple[RefundStatus, RefundStatus]] = {
    Outcome.REFUND_PENDING: (RefundStatus.SUCCEEDED, RefundStatus.PENDING),
    Outcome.REFUND_FAILS: (RefundStatus.FAILED, RefundStatus.PENDING),
    Outcome.REFUND_FAILS_LATER: (RefundStatus.FAILED, RefundStatus.SUCCEEDED),
}
_LETTERS = str.maketrans("0123456789", "ghijklmnop")


class SimulatedTokeniser:
    """Knows the test cards and refuses all others. It keeps nothing: the token itself says what a charge will do."""

    def tokenise(self, card: Card) -> Token:
        """Return a new token for every call. The cvv is ignored, and the caller checks the expiry."""
        known = TEST_CARDS.get(card.digits())
        if known is None:
            raise CardRefused("number", "is not one of the simulator's test cards")
        token = f"sim-{known.brand}-{known.outcome}-{_random()}"
        return Token(token=token, brand=known.brand, last4=card.digits()[-4:], expiry=card.expiry)


class SimulatedGateway:
    """Charges tokens of the simulator's tokeniser. Connects to its ledger at the first call, not before."""

    def __init__(self, url: str) -> None:
        self._ledger = Ledger(url)
        self.close = self._ledger.close
        self.failures = Failures("gateway")

    def charge(self, key: str, token: str, amount: int, currency: str) -> Charge:
        """See Gateway.charge."""
        self._enter()
        outcome = _outcome(token)
        if amount < 1:
            raise RequestRefused("the amount must be at least one minor unit")
        self._hold_up(outcome, key)
        reason = outcome.value if outcome.declined else None
        fresh = Charge(_name("ch", outcome), not outcome.declined, amount, currency, reason)
        charge = self._ledger.charge(key, fresh)
        if outcome is Outcome.DISPUTED or self.failures.take("chargeback"):
            self._ledger.take_back(key)
        self._answer(lost=outcome is Outcome.LOST_ANSWER and charge == fresh)
        if charge.reason != ABANDONED and (charge.amount, charge.currency) != (amount, currency):
            raise RequestRefused("the key was used for another amount")
        return charge

    def find(self, key: str) -> Charge | None:
        """See Gateway.find."""
        self._enter()
        return self._ledger.find_charge(key)

    def abandon(self, key: str) -> Charge:
        """See Gateway.abandon."""
        self._enter()
        return self._ledger.charge(key, Charge(_name("ch"), approved=False, amount=0, currency="", reason=ABANDONED))

    def refund(self, key: str, charge_id: str, amount: int) -> Refund:
        """See Gateway.refund."""
        self._enter()
        if self.failures.take("refund-refused"):
            raise RequestRefused("the customer's bank has taken this charge back")
        status, seconds, meanwhile = self._end_of_refund(charge_id)
        refund = self._ledger.refund(key, Refund(_name("re"), charge_id, amount, status), seconds, meanwhile)
        if (refund.charge_id, refund.amount) != (charge_id, amount):
            raise RequestRefused("the key was used for another refund")
        return refund

    def find_refund(self, key: str) -> Refund | None:
        """See Gateway.find_refund."""
        self._enter()
        return self._ledger.find_refund(key)

    def refunds_of(self, charge_id: str) -> Sequence[Refund]:
        """See Gateway.refunds_of."""
        self._enter()
        return self._ledger.refunds_of(charge_id)

    def disputes(self, days: float) -> Sequence[Dispute]:
        """See Gateway.disputes."""
        self._enter()
        return self._ledger.disputes(days)

    def failed_refunds(self, days: float) -> Sequence[FailedRefund]:
        """See Gateway.failed_refunds."""
        self._enter()
        return self._ledger.failed_refunds(days)

    def _enter(self) -> None:
        """Fail or wait as any call may have to."""
        if closed := self.failures.take("429", "401"):
            raise GatewayClosed(int(closed.kind), closed.seconds if closed.kind == "429" else None)

    def _hold_up(self, outcome: Outcome, key: str) -> None:
        """Fail or wait as a charge may have to before it is made."""
        if outcome is Outcome.SLOW:
            time.sleep(SLOW_SECONDS)
        if slow := self.failures.take("slow"):
            time.sleep(slow.seconds)
        if outcome is Outcome.BUSY and self._ledger.record_first_attempt(key):
            raise GatewayClosed(429, BUSY_SECONDS)
        if outcome is Outcome.FLAKY and self._ledger.record_first_attempt(key):
            raise GatewayUnavailable("the simulator was asked to be unavailable")
        if outcome is Outcome.UNAVAILABLE or self.failures.take("unavailable"):
            raise GatewayUnavailable("the simulator was asked to be unavailable")
        if self.failures.take("timeout"):
            raise OutcomeUnknown("no answer came, and nothing was charged")

    def _answer(self, *, lost: bool) -> None:
        """Fail or wait as a charge may have to after it was made."""
        if late := self.failures.take("late"):
            time.sleep(late.seconds)
        if lost or self.failures.take("lost-answer"):
            raise OutcomeUnknown("the answer was lost")

    def _end_of_refund(self, charge_id: str) -> tuple[RefundStatus, float, RefundStatus]:
        """Return the final status of a refund of this charge, after how many seconds, and the status until then."""
        asked = self.failures.take(*(kind.replace("_", "-") for kind in _ENDS))
        kind = asked.kind.replace("-", "_") if asked else charge_id.removeprefix("ch-").partition("-")[0]
        if kind not in _ENDS:
            return RefundStatus.SUCCEEDED, 0.0, RefundStatus.PENDING
        end, meanwhile = _ENDS[kind]
        return end, asked.seconds if asked else REFUND_SECONDS, meanwhile


def _outcome(token: str) -> Outcome:
    kind, *rest = token.split("-")
    outcome = _OUTCOMES.get(rest[1]) if kind == "sim" and len(rest) > 1 else None
    if outcome is None:
        raise RequestRefused("this token is not the simulator's")
    return outcome


def _name(kind: str, outcome: Outcome = Outcome.APPROVED) -> str:
    """Return the name of a charge. It determines the outcome of refunds, as a token does that of the charge."""
    return f"{kind}-{outcome}-{_random()}" if outcome in _ENDS else f"{kind}-{_random()}"


def _random() -> str:
    """Return twenty letters and no digits, so that a search for digits of cards never finds an id by accident."""
    return secrets.token_hex(10).translate(_LETTERS)
