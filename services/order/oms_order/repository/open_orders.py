"""A page of open orders, which are few of all that there are: their index is by status and then by id, so that each
status has a stretch of its own.

Of a statement that named several statuses, or one by `=`, and wanted the order of the ids, PostgreSQL may read the
primary key, and with it every order that ended before the open ones came: that has this order, too, and is expected to
be read faster, page after page. This order, and these bounds, are the index's alone.
"""

from collections.abc import Mapping

from oms_order.domain import Status

_OF_STATUS = """
(SELECT {columns} FROM orders
WHERE status <> 'CONFIRMED' AND (status, id) > ('{status}', %(after)s) AND status <= '{status}' AND ({condition})
ORDER BY status, orders.id LIMIT %(most)s)
"""


def page(conditions: Mapping[Status, str], columns: str = "id", shown: str = "id::text") -> str:
    """A statement that finds `most` orders after `after`, by their ids, that are in one of these statuses and meet its
    condition. What is `shown` is made of their `columns`, of which `id` is one."""
    of_each = (
        _OF_STATUS.format(columns=columns, status=status, condition=condition)
        for status, condition in conditions.items()
    )
    return f"SELECT {shown} FROM ({'UNION ALL'.join(of_each)}) AS found ORDER BY found.id LIMIT %(most)s"
