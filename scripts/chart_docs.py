"""Writes charts/oms/README.md from Chart.yaml and the comments of values.yaml; `--check` only says whether it is stale.

A comment that begins with `# -- ` describes the value below it, as helm-docs reads them; `# @default -- ` puts words in
the place of a default that would not fit into a table.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[1] / "charts" / "oms"
_KEY = re.compile(r"^( *)([A-Za-z_][\w.-]*):(.*)$")


@dataclass(frozen=True)
class Value:
    """A documented value: its path, its default as text, and what its comment says."""

    path: tuple[str, ...]
    default: str
    about: str


def documented(text: str) -> Iterator[Value]:
    """Every value that has a `# -- ` comment, in the order of the file."""
    values = yaml.safe_load(text)
    path: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            comment = [stripped] if stripped.startswith("# -- ") else [*comment, stripped]
            continue
        if match := _KEY.match(line):
            indent = len(match[1])
            path = [*(one for one in path if one[0] < indent), (indent, match[2])]
            if comment and comment[0].startswith("# -- "):
                keys = tuple(key for _, key in path)
                yield Value(keys, _default(comment, _at(values, keys)), _about(comment))
        comment = []


def undocumented(text: str) -> list[str]:
    """The paths of values that no comment explains. Those under `services` are explained by `serviceDefaults`."""
    known = {value.path for value in documented(text)}
    return [".".join(path) for path in _leaves(yaml.safe_load(text)) if not any(path[:n] in known for n in range(9))]


def readme(chart: dict[str, Any], values: str) -> str:
    """The whole README."""
    rows = [f"| `{'.'.join(one.path)}` | {one.default} | {one.about} |" for one in documented(values)]
    table = "\n".join(["| Value | Default | What it is |", "|---|---|---|", *rows])
    template = (CHART / "README.template.md").read_text()
    return template.replace("{{description}}", chart["description"]).replace("{{values}}", table)


def main() -> int:
    """Write it, or with --check compare it; 1 if it is stale."""
    wanted = readme(yaml.safe_load((CHART / "Chart.yaml").read_text()), (CHART / "values.yaml").read_text())
    if "--check" in sys.argv:
        stale = (CHART / "README.md").read_text() != wanted
        print(
            "charts/oms/README.md is stale: run scripts/chart_docs.py"
            if stale
            else "charts/oms/README.md is up to date"
        )
        return int(stale)
    (CHART / "README.md").write_text(wanted)
    return 0


def _at(values: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        values = values[key]
    return values


def _default(comment: list[str], value: Any) -> str:
    for line in comment:
        if line.startswith("# @default -- "):
            return line.removeprefix("# @default -- ")
    return "see below" if isinstance(value, dict) and value else f"`{json.dumps(value)}`"


def _about(comment: list[str]) -> str:
    words = [line.removeprefix("# -- ").removeprefix("# ") for line in comment if not line.startswith("# @")]
    return " ".join(words).replace("|", "\\|")


def _leaves(values: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key)


if __name__ == "__main__":
    raise SystemExit(main())
