"""Which failures a temporary fault of the gateway excuses: those of calls under way then, with a wide margin."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chaos.schedule import Planned

# An order that has not ended delays the next round, so that none is older than this when a fault begins. A refund
# delays nothing, and its calls pause for up to a minute.
OLDEST_ORDER, OLDEST_REFUND = timedelta(seconds=150), timedelta(seconds=300)
# After the fault, calls are still retried, or given up on once the time limit of a run (10 s) is over.
AFTERWARDS = timedelta(seconds=60)


@dataclass(frozen=True)
class Happened:
    """A fault, with a time before its beginning and one after its end."""

    planned: Planned
    began: datetime
    ended: datetime


@dataclass(frozen=True)
class Excuses:
    """The faults because of which `charges` and `refunds` may fail."""

    charges: Sequence[Happened] = ()
    refunds: Sequence[Happened] = ()

    def charge(self, placed: datetime) -> bool:
        """Whether the payment of an order placed at this time may have failed because of a fault."""
        return any(one.began - OLDEST_ORDER <= placed <= one.ended + AFTERWARDS for one in self.charges)

    def refund(self, asked: tuple[datetime, datetime] | None) -> bool:
        """Whether a refund requested in this interval may have failed; if its client got no answer, any may have."""
        if asked is None:
            return bool(self.refunds)
        first, last = asked
        return any(one.began - OLDEST_REFUND <= last and first <= one.ended + AFTERWARDS for one in self.refunds)
