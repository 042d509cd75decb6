"""What a gateway that failed for a while excuses: only what was under way then, and with a wide margin."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chaos.schedule import Planned

# An order that has not ended holds up the next round, so that none is older than this when a fault begins. A refund
# holds up nothing, and its calls pause for up to a minute.
OLDEST_ORDER, OLDEST_REFUND = timedelta(seconds=150), timedelta(seconds=300)
# After the fault's end calls are still made again, or given up once the patience of a run (10 s) is over.
AFTERWARDS = timedelta(seconds=60)


@dataclass(frozen=True)
class Happened:
    """A fault, from before its beginning until after its end."""

    planned: Planned
    began: datetime
    ended: datetime


@dataclass(frozen=True)
class Excuses:
    """The faults for which `charges` and `refunds` may fail."""

    charges: Sequence[Happened] = ()
    refunds: Sequence[Happened] = ()

    def charge(self, placed: datetime) -> bool:
        """Whether the payment of an order that was placed then may have failed for a fault."""
        return any(one.began - OLDEST_ORDER <= placed <= one.ended + AFTERWARDS for one in self.charges)

    def refund(self, asked: tuple[datetime, datetime] | None) -> bool:
        """Whether a refund may that was asked for between then and then; any one whose client got no answer may."""
        if asked is None:
            return bool(self.refunds)
        first, last = asked
        return any(one.began - OLDEST_REFUND <= last and first <= one.ended + AFTERWARDS for one in self.refunds)
