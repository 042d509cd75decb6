"""Limits the messages to one recipient, and to one country or network, in a window of time, so that nobody can have
others texted or mailed by placing orders.

A message over a limit is not lost: it is marked as failed, for a reason that begins with `held`, and its job is kept as
a dead one, so that an operator can have it sent.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

from oms_chassis.db import Transaction
from oms_chassis.quotas import Quota
from oms_chassis.retention import Retention
from oms_notifications import repository
from oms_notifications.notice import Notice

_PREFIX = re.compile(r"\+[0-9]*")
KEPT = 3600.0  # seconds for which a window's count is kept after its end

Bucket = tuple[str, Quota]
PrefixQuota = tuple[str, Quota]


@dataclass(frozen=True)
class Limit:
    """A limit on all messages whose recipients are in the same bucket. `bucket` returns None for recipients without a
    limit."""

    name: str
    bucket: Callable[[str], Bucket | None]


def limits(recipient: Quota | None, prefixes: Sequence[PrefixQuota] = ()) -> Sequence[Limit]:
    """The limits in a service's settings."""
    found = [Limit("recipient", lambda to: (_hidden(to), recipient))] if recipient else []
    return [*found, Limit("prefix", lambda to: _longest(to, prefixes))] if prefixes else found


def held(transaction: Transaction, limits: Iterable[Limit], notices: Sequence[Notice]) -> dict[str, str]:
    """The reasons for notices that are over a limit, by what they are about. All others are counted."""
    reasons: dict[str, str] = {}
    for limit in limits:
        left = [(notice, limit.bucket(notice.to)) for notice in notices if notice.about not in reasons and notice.to]
        over = _over(transaction, [(notice.about, bucket) for notice, bucket in left if bucket is not None])
        reasons |= dict.fromkeys(over, f"held: too many messages to one {limit.name}")
    return reasons


def _over(transaction: Transaction, asked: Sequence[tuple[str, Bucket]]) -> list[str]:
    """Return the notices that exceed their bucket's quota. The others use it up, in order."""
    wanted = Counter(name for _, (name, _) in asked)
    seconds = {name: quota.seconds for _, (name, quota) in asked}
    used = repository.count(transaction, wanted, seconds)
    over = []
    for about, (name, quota) in asked:
        used[name] += 1
        if used[name] > quota.count:
            over.append(about)
    return over


def _hidden(to: str) -> str:
    """Return a recipient's bucket. It is a hash, so that no address is stored, although a guess can be verified."""
    return f"recipient:{hashlib.sha256(to.lower().encode()).hexdigest()[:32]}"


def _longest(to: str, prefixes: Iterable[PrefixQuota]) -> Bucket | None:
    matching = [(prefix, quota) for prefix, quota in prefixes if to.startswith(prefix)]
    if not matching:
        return None
    prefix, quota = max(matching, key=lambda one: len(one[0]))
    return f"prefix:{prefix}", quota


def retention() -> Retention:
    """Counts are deleted some time after their windows have ended."""
    return Retention("message_quota", "ends_at", KEPT)


def parse(value: Any) -> Any:
    """Parse a setting such as `+94=1000/3600,+=100/3600`, where `+` is every other country."""
    if not isinstance(value, str):
        return value
    parts = [part.strip().partition("=") for part in value.split(",") if part.strip()]
    if not all(map(_PREFIX.fullmatch, (prefix for prefix, _, _ in parts))):
        raise ValueError("must be prefixes with their limits, as in +94=1000/3600,+=100/3600")
    if len({prefix for prefix, _, _ in parts}) < len(parts):
        raise ValueError("must have each prefix once")
    return tuple((prefix, Quota.parse(quota)) for prefix, _, quota in parts)


PrefixQuotas = Annotated[tuple[PrefixQuota, ...], NoDecode, BeforeValidator(parse)]


def by_job(reasons: Mapping[str, str], notices: Iterable[Notice]) -> dict[str, str]:
    """The reasons by the ids of the notices' jobs."""
    return {notice.job_id: reasons[notice.about] for notice in notices if notice.about in reasons}
