"""Which number a text goes to."""

import re

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


def is_number(text: str) -> bool:
    """Whether this is a number in international form (E.164): a provider would read any other as one of its country."""
    return _E164.fullmatch(text) is not None
