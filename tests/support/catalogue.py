"""The stock of the tests' own platform: the sample's items, in a quantity that suffices for all tests together."""

import json

import httpx2

from oms_platform import sample
from support.chassis import eventually
from support.orders import body

PLENTY, SCARCE = 1_000_000, "Item5"
# Too little for the orders of 10,000 that must fail, but never sold out: those would be refused before payment.
LITTLE = 5_000
ITEMS = [{**item, "onHand": LITTLE if item["id"] == SCARCE else PLENTY} for item in sample.ITEMS]
ENVIRONMENT = {"inventory": {"OMS_CATALOGUE": json.dumps(ITEMS)}}


def await_known(url: str) -> None:
    """Return once the order service knows the items, and knows that it has all of them."""
    eventually(lambda: _answered(url, *(item["id"] for item in ITEMS)) == 202, within=30.0)
    await_all_known(url)


def await_all_known(url: str) -> None:
    """Return once an order of an unknown item is refused for good: at first, the service may not have all items yet."""
    eventually(lambda: _answered(url, "NoSuchItem") == 422, within=60.0)


def _answered(url: str, *ids: str) -> int:
    return httpx2.post(f"{url}/order", json=body(*((id_, 1) for id_ in ids))).status_code
