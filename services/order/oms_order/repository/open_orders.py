"""Reads pages of open orders, which are few among all orders, by their partial index on status and id.

If a statement named several statuses, or one with `=`, and sorted by id, PostgreSQL might read the primary key instead,
because it has that order, too, and seems to be faster: every page would then read all the orders that ended before the
open ones. Only the index has the order and the bounds of this statement, so it is always used.
"""

from collections.abc import Mapping

from oms_order.domain import Status

_OF_STATUS = """
(SELECT {columns} FROM orders
WHERE status <> 'CONFIRMED' AND (status, id) > ('{status}', %(after)s) AND status <= '{status}' AND ({condition})
ORDER BY status, orders.id LIMIT %(most)s)
"""


def page(conditions: Mapping[Status, str], columns: str = "id", shown: str = "id::text") -> str:
    """Return a statement that finds `most` orders after `after`, in the order of their ids, that are in one of these
    statuses and meet the condition of that status. It reads `columns`, including `id`, and returns `shown`."""
    of_each = (
        _OF_STATUS.format(columns=columns, status=status, condition=condition)
        for status, condition in conditions.items()
    )
    return f"SELECT {shown} FROM ({'UNION ALL'.join(of_each)}) AS found ORDER BY found.id LIMIT %(most)s"
