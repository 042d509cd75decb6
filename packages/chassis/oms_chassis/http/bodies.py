"""Base classes of request bodies and responses. Their JSON names are camelCase.

Requests are strict: no value is converted, no unknown field is ignored, and no error repeats what was sent.
"""

import unicodedata
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from oms_chassis.http import cardnumbers
from oms_chassis.statements import Row

# Control characters have no place in a name, and Postgres cannot store NUL in a text.
PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]*$"
STORABLE = r"^[^\x00]*$"  # for text from elsewhere, such as the key of a record
_SEEN = "LNPS"  # letters, numbers, punctuation, symbols: the first letters of their Unicode categories
_FILLERS = "\u115f\u1160\u2800\u3164\uffa0"  # letters and a symbol that are rendered as nothing


def visible(text: str) -> str:
    """Return the text if it has a visible character. Raises PydanticCustomError, as validators do."""
    if is_visible(text):
        return text
    raise PydanticCustomError("bad-text", "must hold a character that can be seen")


def is_visible(text: str) -> bool:
    """Whether a text has a visible character."""
    return any(unicodedata.category(one)[0] in _SEEN and one not in _FILLERS for one in text)


Visible = Annotated[str, AfterValidator(visible)]
# A remark that people add to a request. It is stored.
Remark = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=200, pattern=PRINTABLE),
    AfterValidator(cardnumbers.without),
]


class Body(BaseModel):
    """The base of request bodies."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", strict=True, frozen=True, hide_input_in_errors=True
    )


class View(BaseModel):
    """The base of responses."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True)

    @classmethod
    def of(cls, row: Row, **more: object) -> Self:
        """Make a response from a row: each field is the column with its name, unless it is among `more`."""
        columns = {name: getattr(row, name) for name in cls.model_fields if name in row._fields}
        return cls(**{**columns, **more})
