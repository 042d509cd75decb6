"""What the inventory service can be told beyond what every service can."""

from pydantic import Field

from oms_chassis.settings import Settings
from oms_inventory.schemas import CatalogueItem


class InventorySettings(Settings):
    """The catalogue's entries are put in at start where they are absent; what is there is not touched."""

    catalogue: list[CatalogueItem] = Field(default_factory=list)
