"""How single JSON values in events and requests are read: which are accepted, and as what."""

from datetime import UTC, datetime

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError


def _whole(value: object) -> object:
    """Return a number without a fraction as an integer, and any other value as it is, for its type to refuse."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# JSON has one kind of number: according to JSON Schema, 2.0 and 2e0 are the integer 2. This annotates an int, and comes
# after its Field, because the generated document would lose bounds that come later.
WHOLE = BeforeValidator(_whole)


def showable(moment: datetime) -> datetime:
    """Return the time. Raises PydanticCustomError, which pydantic reports as the field's error, if its year does not
    exist in every time zone: such a time could be stored, but not read again."""
    try:
        if 1 < moment.astimezone(UTC).year < 9999:
            return moment
    except OverflowError:
        pass
    raise PydanticCustomError("bad-time", "must be in a year from 2 to 9998")
