"""What a gateway lists is written down together; where one entry of it is odd, each apart from the others."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from oms_chassis.failures import is_of_the_schema, is_unavailable

Entry = TypeVar("Entry")


def all_or_each(entries: Sequence[Entry], write: Callable[[Sequence[Entry]], None]) -> None:
    """Write all of these at once; or, if what they hold fails that, one by one, so that nothing is learnt later because
    of one that no table or event can hold. Raises the error of the last one that failed, after the others."""
    try:
        write(entries)
    except Exception as error:
        if len(entries) < 2 or is_unavailable(error) or is_of_the_schema(error):
            raise
    else:
        return
    failure: Exception | None = None
    for one in entries:
        try:
            write([one])
        except Exception as error:
            if is_unavailable(error):
                raise
            failure = error
    if failure is not None:
        raise failure
