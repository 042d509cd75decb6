"""A hook of mkdocs.yml: an entry of `nav` with a `*` becomes the pages that it matches, so that no list grows old."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any


def on_config(config: Any) -> Any:
    """Write the pages in the place of each pattern."""
    config["nav"] = list(_expanded(config["nav"], Path(config["docs_dir"])))
    return config


def _expanded(entries: Iterable[Any], docs: Path) -> Iterable[Any]:
    for entry in entries:
        if isinstance(entry, dict):
            yield {title: _below(below, docs) for title, below in entry.items()}
        elif "*" in entry:
            yield from (page.relative_to(docs).as_posix() for page in sorted(docs.glob(entry)))
        else:
            yield entry


def _below(entry: Any, docs: Path) -> Any:
    return list(_expanded(entry, docs)) if isinstance(entry, list) else entry
