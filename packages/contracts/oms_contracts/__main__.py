"""Writes the files that are generated from the models: `python -m oms_contracts [--check | --breaking]`."""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from oms_contracts import asyncapi, diagram, eventcatalog, schemas
from oms_contracts.topics import SERVICES, TOPICS

FOLDER = Path(__file__).resolve().parent.parent
PAGES = (FOLDER.parents[1] / "README.md", FOLDER.parents[1] / "docs" / "architecture.md")


def documents() -> dict[str, str]:
    """Return the text of every generated file, by its path within the package."""
    files = {f"schemas/{topic.name}.json": schemas.schema(topic) for topic in TOPICS}
    files |= {f"asyncapi/{service}.json": asyncapi.application(service, asyncapi.referred) for service in SERVICES}
    files["asyncapi.json"] = asyncapi.system()
    texts = {path: json.dumps(content, indent=2, ensure_ascii=False) + "\n" for path, content in files.items()}
    return texts | {f"eventcatalog/{path}": text for path, text in eventcatalog.documents().items()}


def drift(folder: Path) -> list[str]:
    """Return the files that differ from what the models generate: changed, missing, or of an event that is gone."""
    wanted, present = documents(), _present(folder)
    return sorted(path for path in {*wanted, *present} if wanted.get(path) != present.get(path))


def broken(folder: Path) -> list[str]:
    """Return where the models break what the schemas in the folder promise."""
    wanted = documents()
    found = []
    for path, text in _present(folder).items():
        if not path.startswith("schemas/"):
            continue
        new = json.loads(wanted[path]) if path in wanted else None
        found += [f"{path}: {where or 'the event is gone'}" for where in schemas.breaks(json.loads(text), new)]
    return found


def write(folder: Path) -> None:
    """Write every file, and remove those of events that are gone."""
    wanted = documents()
    for path in _present(folder).keys() - wanted.keys():
        (folder / path).unlink()
    for path, text in wanted.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")


def stale(pages: Iterable[Path]) -> list[str]:
    """Return the pages whose flowchart of the events is out of date."""
    texts = {page: page.read_text(encoding="utf-8") for page in pages}
    return [page.name for page, text in texts.items() if diagram.drawn(text) != text]


def draw(pages: Iterable[Path]) -> None:
    """Write the flowchart into each page."""
    for page in pages:
        page.write_text(diagram.drawn(page.read_text(encoding="utf-8")), encoding="utf-8")


def _present(folder: Path) -> Mapping[str, str]:
    globs = ("schemas/*.json", "asyncapi/*.json", "asyncapi.json", "eventcatalog/**/*.*")
    paths = [path for pattern in globs for path in folder.glob(pattern)]
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def main(argv: Sequence[str] | None = None, folder: Path = FOLDER, pages: Sequence[Path] = PAGES) -> int:
    """Return the exit code: 0, or 1 if files are out of date (--check) or a change would break readers."""
    parser = argparse.ArgumentParser(prog="python -m oms_contracts", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the files are not up to date")
    parser.add_argument("--breaking", action="store_true", help="write even what breaks readers of earlier events")
    options = parser.parse_args(argv)
    if options.check:
        return _complain("Out of date (run `python -m oms_contracts`):", [*drift(folder), *stale(pages)])
    found = [] if options.breaking else broken(folder)
    if not found:
        write(folder)
        draw(pages)
    return _complain("Not additive, so nothing was written (--breaking insists):", found)


def _complain(about: str, found: Sequence[str]) -> int:
    if found:
        sys.stderr.write("\n  ".join([about, *found]) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
