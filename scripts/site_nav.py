"""A hook of mkdocs.yml that expands patterns in the navigation, and removes links that lead out of `docs`.

An entry of `nav` with a `*` becomes the pages that it matches, so that no list goes stale. The site has the pages, but
not the code: it shows only the text of a link to a module.
"""

import posixpath
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_LINK = re.compile(r"\[([^\]]*)\]\((\.\./[^)]*)\)")


def on_config(config: Any) -> Any:
    """Replace each pattern by the pages that it matches."""
    config["nav"] = list(_expanded(config["nav"], Path(config["docs_dir"])))
    return config


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Return the page with each link that leads out of `docs` reduced to its text."""
    folder = posixpath.dirname(page.file.src_uri)
    return _LINK.sub(lambda link: link[1] if _is_outside(posixpath.join(folder, link[2])) else link[0], markdown)


def _is_outside(path: str) -> bool:
    return posixpath.normpath(path).startswith("..")


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
