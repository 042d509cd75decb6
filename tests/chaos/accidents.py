"""Accidents that bring deliberate bugs to light."""

from chaos.schedule import Planned, Round


def during(kind: str, target: str, lasts: float = 6.0) -> Round:
    """Return a round with one fault."""
    return (Planned(kind, target, 0.5, lasts),)


def crashed(name: str) -> Round:
    """Kill a service while its database does not answer, in the middle of whatever it was doing."""
    return (Planned("silence", f"{name}-database", 0.5, 6.0), Planned("process killed", name, 3.0, 1.0))


def without_broker(name: str) -> Round:
    """Kill a service while Kafka does not answer."""
    return (Planned("silence", "kafka", 0.5, 6.0), Planned("process killed", name, 3.0, 1.0))


def killed_while(kind: str, name: str, failure: str = "slow") -> Round:
    """Kill a service while it waits for the answer of a receiver that has accepted the message."""
    return (Planned(kind, failure, 0.0, 6.0), Planned("process killed", name, 3.0, 1.0))


# A slow mail server takes longer than this lease, but no longer than the service waits for it.
SHORT_LEASES = {"OMS_JOB_LEASE_SECONDS": "5"}
SLOW = during("far away", "order-database")
# Claimed calls wait for slow ones, so that they are returned and claimed again many times.
SLOW_GATEWAY = during("gateway fails", "slow", 50.0)
TWO_REPLICAS = tuple(Planned("second replica joins and leaves", name, 0.5, 20.0) for name in ("order", "inventory"))
# A worker dies after it has claimed jobs, and then the clock by which it claimed them is set back.
CLOCK_PUT_BACK = (
    Planned("clock goes forward", "payment-database", 0.0, 8.0),
    Planned("gateway fails", "slow", 1.0, 3.0),
    Planned("process killed", "payment", 3.5, 1.0),
)
# Each statement takes long, so that a service may die between any two of them.
BETWEEN_STATEMENTS = (
    Planned("far away", "inventory-database", 0.0, 6.0),
    Planned("process killed", "inventory", 3.0, 1.0),
)
# A commit is on its way to a database that stops, which usually, but not always, executes it when it continues.
COMMITTED_LATE = (
    Planned("far away", "order-database", 0.0, 9.0),
    Planned("process suspended", "order-database", 2.0, 6.5),
)
