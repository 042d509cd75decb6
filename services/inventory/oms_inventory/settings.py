"""The Inventory Service's configuration from environment variables, beyond what every service has."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, Json, TypeAdapter, model_validator
from pydantic_settings import NoDecode

from oms_chassis.settings import Settings
from oms_inventory.schemas import CatalogueItem

_ITEMS = TypeAdapter(list[CatalogueItem])


class InventorySettings(Settings):
    """The catalogue's entries are put in at start where they are absent; what is there is not touched."""

    # NoDecode leaves the JSON to pydantic, so that broken JSON is reported like every other setting.
    catalogue: Annotated[Json[list[CatalogueItem]], NoDecode] = Field(default_factory=list, validate_default=False)
    # A variable holds 128 KiB, which is some 1,200 items.
    catalogue_file: Path | None = Field(default=None, description="a file with more of the same")

    @model_validator(mode="after")
    def _has_a_catalogue_that_can_be_read(self) -> Self:
        self.all_items()
        return self

    def all_items(self) -> list[CatalogueItem]:
        """The entries of both. ValueError if the file has others, or is not there."""
        if self.catalogue_file is None:
            return self.catalogue
        try:
            return [*self.catalogue, *_ITEMS.validate_json(self.catalogue_file.read_bytes())]
        except OSError as error:
            raise ValueError(f"OMS_CATALOGUE_FILE cannot be read: {type(error).__name__}") from error
