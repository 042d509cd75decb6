"""A member's part in rebalances: only partitions that have to move are revoked, once all members can do that.

In kafka-python 3.0.12, a consumer's settings fix whether each rebalance revokes all partitions (eager), or only those
that move (cooperative), and there is no way from one to the other. Here a member offers both, and follows the protocol
that the group has chosen: eager while there is a member of an older release, and cooperative-sticky as soon as the last
of them has left. Partitions have one owner or none during that change.

A foreign client that joins the group, by mistake or from a console, gets none of these topics' partitions as long as
one of our members assigns them: nobody would apply the records that it reads and commits.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.coordinator.assignors.abstract import RebalanceProtocol
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.protocol.consumer.metadata import ConsumerProtocolSubscription

from oms_chassis.messaging.kafka.connection import CLIENT
from oms_chassis.messaging.streams import Identity
from oms_chassis.telemetry.logs import logger

log = logger(__name__)

# Seconds. A member waits for the group while another member finishes its turn. It starts over if that takes longer than
# any turn (if it has no partitions), or than the group itself waits for anybody (if it has some).
UNASSIGNED, LEFT_OUT = 20.0, 90.0


class Cooperative(CooperativeStickyAssignor):  # type: ignore[misc] # kafka-python has no types
    """Cooperative-sticky for a member that may offer another protocol, too. It claims the partitions that the member
    really owns.

    The library's class claims those that it was assigned last: a member that was removed would keep claiming them, and
    partitions that only such a member claims would be assigned to nobody.
    """

    def __init__(self) -> None:
        super().__init__()
        self.owned: Callable[[], Iterable[TopicPartition]] = tuple

    def supported_protocols(self) -> list[RebalanceProtocol]:
        """Return both protocols; `Membership` decides which one applies."""
        return [RebalanceProtocol.EAGER, RebalanceProtocol.COOPERATIVE]

    def metadata(self, topics: Iterable[str]) -> Any:
        """Return this member's metadata for the leader, which assigns the partitions."""
        self.member_assignment = list(self.owned())
        return super().metadata(topics)


def assignors() -> list[Any]:
    """Return the assignors that a member offers, the preferred one first. Members of older releases know only the last
    one."""
    return [Cooperative(), RangePartitionAssignor]


class Membership:
    """A consumer's membership in its group. It hooks into the steps of joining, because the library's listener is not
    called for a member whose assignment is empty or unchanged."""

    def __init__(self, consumer: KafkaConsumer, identity: Identity) -> None:
        self._identity = identity
        self._coordinator = consumer._coordinator  # noqa: SLF001 - nothing public says when it joins
        self._subscription = consumer._subscription  # noqa: SLF001 - the same
        self._coordinator._assignors[Cooperative.name].owned = self._owned  # noqa: SLF001 - the same
        self._prepare = self._coordinator._on_join_prepare_async  # noqa: SLF001 - the same
        self._complete = self._coordinator._on_join_complete_async  # noqa: SLF001 - the same
        self._coordinator._on_join_prepare_async = self._on_prepare  # noqa: SLF001 - the same
        self._coordinator._on_join_complete_async = self._on_complete  # noqa: SLF001 - the same
        self._join = self._coordinator._do_join_and_sync_async  # noqa: SLF001 - the same
        self._coordinator._do_join_and_sync_async = self._on_join  # noqa: SLF001 - the same
        self._perform = self._coordinator._perform_assignment  # noqa: SLF001 - the same
        self._coordinator._perform_assignment = self._on_perform  # noqa: SLF001 - the same
        if identity.member_id:  # if the group no longer knows it, it assigns another one
            self._coordinator.reset_generation(identity.member_id)
        self._unread: bytes | None = None
        self._joined, self._since = False, time.monotonic()

    @property
    def is_cooperative(self) -> bool:
        """Whether the group revokes only partitions that have to move."""
        mode = self._coordinator._rebalance_protocol  # noqa: SLF001 - the same
        return bool(mode == RebalanceProtocol.COOPERATIVE)

    @property
    def is_assigned(self) -> bool:
        """Whether the group has accepted this member, even if it has no partition for it."""
        return self._joined or (self.is_cooperative and bool(self._subscription.assigned_partitions()))

    def is_lost(self) -> bool:
        """Whether the group has not accepted this member for longer than a rebalance can take."""
        return not self._joined and time.monotonic() - self._since > (LEFT_OUT if self.is_assigned else UNASSIGNED)

    def _owned(self) -> Iterable[TopicPartition]:
        is_member = self.is_cooperative and not self._coordinator._generation.is_lost()  # noqa: SLF001 - the same
        return self._subscription.assigned_partitions() if is_member else ()

    async def _on_prepare(self, *args: Any, **more: Any) -> None:
        self._joined, self._since = False, time.monotonic()
        await self._prepare(*args, **more)

    async def _on_join(self) -> bytes:
        """Join, or use the answer that arrived between two polls. The library forgets that answer, and would join
        again, and make all others do so, for as long as that happens."""
        unread, self._unread = self._unread, None
        if unread is None or self._coordinator._generation.is_lost():  # noqa: SLF001 - the same
            unread = await self._join()
            self._unread = unread
        return unread

    def _on_perform(self, leader: str, protocol: str, members: Sequence[Any]) -> Any:
        """Assign the partitions, as the group's leader."""
        for one in members:
            if not one.member_id.startswith(f"{CLIENT}-"):  # the group derives member ids from client ids
                log.error("foreign_member", member=one.member_id)
                one.metadata = self._without_ours(one.metadata)
        return self._perform(leader, protocol, members)

    def _without_ours(self, metadata: bytes) -> bytes:
        asked = ConsumerProtocolSubscription.decode(metadata)
        asked.topics = [topic for topic in asked.topics if topic not in self._subscription.subscription]
        encoded: bytes = asked.encode()
        return encoded

    async def _on_complete(self, generation: int, member_id: str, protocol: str, assignment: bytes) -> None:
        mode = RebalanceProtocol.COOPERATIVE if protocol == Cooperative.name else RebalanceProtocol.EAGER
        self._coordinator._rebalance_protocol = mode  # noqa: SLF001 - the same
        self._unread = None
        await self._complete(generation, member_id, protocol, assignment)
        self._identity.become(member_id)
        self._joined = True
