"""Single values as they come in JSON, in events and in requests: what of them is taken, and for what."""

from datetime import UTC, datetime

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError


def _whole(value: object) -> object:
    """A number without a fraction as an integer; whatever else it is stays, for its type to refuse."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# JSON has one kind of number: 2.0 and 2e0 are the integer 2, as JSON Schema has it. It is of an int, and comes after
# its Field: the document loses bounds that come later.
WHOLE = BeforeValidator(_whole)


def showable(moment: datetime) -> datetime:
    """The time, unless it has a year that there is not in every time zone: such a one can be stored, and not read back.

    Raises PydanticCustomError, which pydantic takes for an error of the field.
    """
    try:
        if 1 < moment.astimezone(UTC).year < 9999:
            return moment
    except OverflowError:
        pass
    raise PydanticCustomError("bad-time", "must be in a year from 2 to 9998")
