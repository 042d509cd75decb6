"""The Inventory Service's configuration from environment variables, beyond what every service has."""

from typing import Annotated

from pydantic import Field, Json
from pydantic_settings import NoDecode

from oms_chassis.settings import Settings
from oms_inventory.schemas import CatalogueItem


class InventorySettings(Settings):
    """The catalogue's entries are put in at start where they are absent; what is there is not touched."""

    # NoDecode leaves the JSON to pydantic, so that broken JSON is reported like every other setting.
    catalogue: Annotated[Json[list[CatalogueItem]], NoDecode] = Field(default_factory=list, validate_default=False)
