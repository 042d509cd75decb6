"""Phone numbers as people paste them: with typographic dashes, spaces of all widths, digits of any script, and
invisible marks. They are stored in plain characters, and if possible also as E.164, which every provider accepts."""

import re
import unicodedata

import phonenumbers
from pydantic_core import PydanticCustomError

from oms_chassis.http import pasted
from oms_order.problems import BadPhone

_FORM = re.compile(r"\+?[0-9 ().\-/]*")
_DIGITS = range(5, 16)
_KINDS = {"L": "letters", "C": "control characters", "S": "symbols", "P": "other punctuation than ( ) . - /"}


def cleaned(text: str) -> str:
    """Return the number in plain digits and punctuation.

    Raises PydanticCustomError, which names the kind of a character that it must not contain.
    """
    plain = pasted.without_scheme(pasted.plain(text).strip(), "tel:").strip()
    if plain.startswith("(+"):
        plain = plain.replace("(+", "+", 1).replace(")", "", 1)
    _refuse_strangers(plain)
    if not _FORM.fullmatch(plain):
        raise PydanticCustomError("bad-phone", "must be a phone number: a + may only be its first character")
    if sum(map(str.isdigit, plain)) not in _DIGITS:
        raise PydanticCustomError("bad-phone", "must be a phone number of 5 to 15 digits")
    return plain


def e164(number: str, region: str) -> str | None:
    """Return the number as `+94762222222`, or None if it does not exist in `region` (or in the country that it names).

    Raises BadPhone if it cannot be a phone number at all.
    """
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException as error:
        raise BadPhone(("customer.phoneNumber", "must be a phone number")) from error
    if not phonenumbers.is_valid_number(parsed):
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def region(code: str) -> str:
    """Return the code of a country whose numbers are known.

    Raises ValueError for any other: every number without a country code would be refused.
    """
    if code not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError("must be a country's code of ISO 3166 in capitals: GB, not UK")
    return code


def _refuse_strangers(plain: str) -> None:
    for character in plain:
        if character not in "+0123456789 ().-/":
            kind = _KINDS.get(unicodedata.category(character)[0], "other characters")
            raise PydanticCustomError("bad-phone", "must be a phone number: it must not hold {kind}", {"kind": kind})
