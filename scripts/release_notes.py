"""Prints a version's section of CHANGELOG.md: `release_notes.py 0.1.0`.

Fails if there is none, or if pyproject.toml or the chart has another version: a release checks this first.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def notes(changelog: str, version: str) -> str | None:
    """Return the text between the version's heading and the next one, or None if the version has no heading."""
    found = re.search(rf"^## \[{re.escape(version)}\].*?\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    return found[1].strip() if found else None


def declared(root: Path) -> dict[str, str]:
    """Return the version that each file declares, by the file's name."""
    chart = re.findall(
        r'^(version|appVersion): "?([^"\n]+)"?$', (root / "charts/oms/Chart.yaml").read_text(), re.MULTILINE
    )
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    return {"pyproject.toml": project, **{f"Chart.yaml, {key}": value for key, value in chart}}


def main(version: str, root: Path = ROOT) -> int:
    """Print the section. Return the exit code, 1 if something is not ready for this release."""
    text = notes((root / "CHANGELOG.md").read_text(), version)
    wrong = [f"{where} says {found}, not {version}" for where, found in declared(root).items() if found != version]
    if text is None:
        wrong.append(f"CHANGELOG.md has no section [{version}]")
    if wrong:
        print("\n".join(wrong), file=sys.stderr)
        return 1
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
