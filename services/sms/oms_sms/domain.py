"""Which number a text goes to."""

import re

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


def is_number(text: str) -> bool:
    """Whether this is a number in its international form (E.164): any other would be read by the provider's country."""
    return _E164.fullmatch(text) is not None
