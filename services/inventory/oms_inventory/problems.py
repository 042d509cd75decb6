"""The Inventory Service's problems: one class for each kind of mistake."""

from oms_chassis.http.problems import Problem


class ItemNotFound(Problem):
    """No item has this id."""

    status, kind, title = 404, "item-not-found", "There is no item with this id"


class ItemChanged(Problem):
    """The item does not match If-Match or If-None-Match, because somebody else has changed it meanwhile."""

    status, kind, title = 412, "item-changed", "The item is not in the state that was asked for"


class ItemExists(Problem):
    """The initial stock of an existing item cannot be changed: restock it instead."""

    status, kind, title = 409, "item-exists", "The item exists with another initial stock"


class StockTooLow(Problem):
    """A correction cannot take away more than the stock on hand."""

    status, kind, title = 409, "stock-too-low", "There is not so much of the item"


class IdempotencyKeyReused(Problem):
    """A key can be used for one change of stock only, and this change differs from the first."""

    status, kind, title = 422, "idempotency-key-reused", "The key was used for another restock"
