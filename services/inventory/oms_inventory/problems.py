"""What this service refuses: one class for each mistake."""

from oms_chassis.http.problems import Problem


class ItemNotFound(Problem):
    """The id is that of no item."""

    status, kind, title = 404, "item-not-found", "There is no item with this id"


class ItemChanged(Problem):
    """If-Match names no state that the item is in, or If-None-Match one that it is in: somebody else was first."""

    status, kind, title = 412, "item-changed", "The item is not in the state that was asked for"


class ItemExists(Problem):
    """An item's initial stock cannot be changed: it is restocked."""

    status, kind, title = 409, "item-exists", "The item exists with another initial stock"


class StockTooLow(Problem):
    """A correction cannot take away more than there is."""

    status, kind, title = 409, "stock-too-low", "There is not so much of the item"


class IdempotencyKeyReused(Problem):
    """A key is that of one restock."""

    status, kind, title = 422, "idempotency-key-reused", "The key was used for another restock"
