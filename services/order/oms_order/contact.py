"""Phone numbers: kept in plain characters, and in the one form that every provider takes where it is known."""

import phonenumbers

from oms_chassis.http.problems import Problem


def e164(number: str, region: str) -> str | None:
    """The number as `+94762222222`, or None if it is none that `region` (or the country it names) has.

    Raises Problem for what cannot be a phone number at all.
    """
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException as error:
        detail = [{"field": "customer.phoneNumber", "message": "must be a phone number"}]
        raise Problem(422, "bad-phone", "The request is not valid", errors=detail) from error
    if not phonenumbers.is_valid_number(parsed):
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
