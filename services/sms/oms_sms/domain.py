"""Which number a text goes to."""

from oms_contracts.events import Customer


def number(customer: Customer) -> str:
    """The number in its international form where it is known, otherwise as the customer wrote it."""
    return customer.phone_e164 or customer.phone_number
