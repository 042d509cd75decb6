"""Finds out what keeps a service from consuming events: the evidence, and the page about it."""

from collections.abc import Iterator

from oms_cli.client import Json

RUNBOOKS = "docs/runbooks"


def of_replica(service: str, condition: Json) -> Iterator[tuple[str, str]]:
    """Yield the findings from what the replica that was asked reports about its own consumer."""
    if condition.get("consumerPaused"):
        evidence = f"the consumer of {service} is paused: no event can be applied, for a reason that its log names"
        yield evidence, f"{RUNBOOKS}/OmsConsumerPaused.md; it goes on by itself once repaired"
    elif condition.get("consumerRunning") is False:
        yield f"the consumer of {service} does not run", f"{RUNBOOKS}/OmsConsumerStopped.md"
    if condition.get("batchDamaged"):
        evidence = f"a batch is damaged, and {service} does not read on in its partition"
        yield evidence, f"{RUNBOOKS}/OmsBatchDamaged.md"
    if condition.get("topicRefused"):
        evidence = f"{service} cannot read one of its topics: it is missing, or not the service's to read"
        yield evidence, f"{RUNBOOKS}/OmsTopicRefused.md"


def of_group(service: str, evidence: Json) -> Iterator[tuple[str, str]]:
    """Yield the findings from what Kafka reports about all replicas: another one may have the partition."""
    unread = evidence.get("unread", {})
    if unread is None:
        yield f"Kafka does not say what {service} has not read", f"{RUNBOOKS}/OmsConsumerNotPolling.md"
    elif unread:
        counts = ", ".join(f"{count} of {topic}" for topic, count in unread.items())
        why = f"events wait in Kafka for {service} ({counts}): it is slow, or a replica's consumer is paused or hangs"
        yield why, f"{RUNBOOKS}/OmsConsumerLagging.md"
