"""The Inventory Service's configuration from environment variables, beyond what every service has."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, Json, TypeAdapter, field_validator
from pydantic_settings import NoDecode

from oms_chassis.settings import Settings
from oms_inventory.schemas import CatalogueItem

_ITEMS = TypeAdapter(list[CatalogueItem])


class InventorySettings(Settings):
    """Entries of the catalogue are created at the start if they do not exist; existing items are not changed."""

    # NoDecode leaves the JSON to pydantic, so that broken JSON is reported like every other setting.
    catalogue: Annotated[Json[list[CatalogueItem]], NoDecode] = Field(default_factory=list, validate_default=False)
    # A variable holds 128 KiB, which is some 1,200 items.
    catalogue_file: Path | None = Field(default=None, description="a file with more of the same")

    @field_validator("catalogue_file")
    @classmethod
    def _can_be_read(cls, file: Path | None) -> Path | None:
        if file is not None:
            _items(file)
        return file

    def all_items(self) -> list[CatalogueItem]:
        """The entries of both. Raises ValueError if the file has become invalid or is gone."""
        return self.catalogue if self.catalogue_file is None else [*self.catalogue, *_items(self.catalogue_file)]


def _items(file: Path) -> list[CatalogueItem]:
    try:
        return _ITEMS.validate_json(file.read_bytes())
    except OSError as error:
        raise ValueError(f"cannot be read: {type(error).__name__}") from error
