"""Conditional requests for items (If-Match, If-None-Match).

An item's tag has three parts: a hash of what an operator sets (name, price), its version, and the stock on hand. A
change of stock compares the whole tag. A change of name or price compares the first part only: that customers buy the
item meanwhile is not a conflict.
"""

import hashlib
from dataclasses import dataclass

from oms_chassis.http.conditions import Tags
from oms_inventory.schemas import ItemView


@dataclass(frozen=True)
class Conditions:
    """The conditions under which an item is changed, its stock is changed, or the item is returned."""

    match: Tags | None = None
    none_match: Tags | None = None

    def allow_change_of(self, item: ItemView | None) -> bool:
        """Whether the item may be written; None if it does not exist."""
        if item is None:
            return self.match is None
        return _names(self.match, item) and not _is_shown(self.none_match, item)

    def allow_movement_of(self, item: ItemView) -> bool:
        """Whether the item's stock may be changed."""
        is_meant = self.match is None or self.match.is_any or tag(item) in self.match.strong
        return is_meant and not _is_shown(self.none_match, item)

    def allow_showing(self, item: ItemView) -> bool:
        """Whether the item differs from what the caller already has."""
        return not _is_shown(self.none_match, item)


NONE = Conditions()


def tag(item: ItemView) -> str:
    """The tag of an item, without quotes."""
    return f"{_set(item)}-{item.version}-{item.on_hand}"


def _set(item: ItemView) -> str:
    text = "\0".join((item.name, str(item.unit_price), item.currency))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _names(tags: Tags | None, item: ItemView) -> bool:
    if tags is None or tags.is_any:
        return True
    return any(one.partition("-")[0] == _set(item) for one in tags.strong)


def _is_shown(tags: Tags | None, item: ItemView) -> bool:
    return tags is not None and (tags.is_any or tag(item) in tags.all)
