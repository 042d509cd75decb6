"""Settings of the Order Service that cannot work are refused at the start."""

from typing import Any

import pytest
from pydantic import ValidationError

from oms_order import phones
from oms_order.settings import OrderSettings

DATABASE: dict[str, Any] = {"database_url": "postgresql://localhost/none", "kafka_bootstrap": "localhost:1"}


@pytest.mark.parametrize(("region", "number"), [("LK", "+94762222222"), ("FR", "+33762222222")])
def test_a_number_without_a_country_is_one_of_the_region(region: str, number: str) -> None:
    assert phones.e164("762222222", OrderSettings(**DATABASE, default_region=region).default_region) == number


@pytest.mark.parametrize("region", ["UK", "EN", "XX", "lk", "", "LKA"])
def test_a_region_that_is_no_country_is_refused_rather_than_each_number_without_one(region: str) -> None:
    with pytest.raises(ValidationError, match="GB, not UK"):
        OrderSettings(**DATABASE, default_region=region)
