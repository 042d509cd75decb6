"""Create a new service: `make service NAME=loyalty`.

Writes services/NAME from scripts/templates/service, a small service that works, and its entries in compose.yaml and
skaffold.yaml, as copies of another service's. It prints what is left for you to do, as does CONTRIBUTING.md.
"""

import argparse
import re
from collections.abc import Callable
from pathlib import Path

TEMPLATE = Path(__file__).parent / "templates" / "service"
LIKE = "payment"  # the service whose entries are copied: it has no routes, and no settings that others lack
LEFT = """services/{name} is made. What is left, by hand:
  1. packages/contracts/oms_contracts/topics.py: the name in SERVICES, and in the topics that it reads and emits
  2. charts/oms/values.yaml: an entry in `services`
  3. charts/oms/ci/external-values.yaml: the secret of its database
Then make lock setup contracts, and the service itself."""


def main(root: Path = Path()) -> int:
    """Create the service. Return the exit code."""
    parser = argparse.ArgumentParser(prog="make service", description=__doc__)
    parser.add_argument("name", help="lower-case letters and digits, such as loyalty")
    name = parser.parse_args().name
    if not re.fullmatch(r"[a-z][a-z0-9]{1,19}", name):
        parser.error("a name is 2 to 20 lower-case letters and digits, and begins with a letter")
    if (root / "services" / name).exists():
        parser.error(f"there is a services/{name} already")
    write_folder(root, name)
    edit(root / "compose.yaml", lambda text: in_compose(text, name))
    edit(root / "skaffold.yaml", lambda text: in_skaffold(text, name))
    print(LEFT.format(name=name))
    return 0


def write_folder(root: Path, name: str) -> None:
    """Write the service's folder from the template."""
    for source in sorted(TEMPLATE.rglob("*.tmpl")):
        relative = source.relative_to(TEMPLATE).as_posix().removesuffix(".tmpl")
        target = root / "services" / name / filled(relative, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(in_order(filled(source.read_text(), name)))


def filled(text: str, name: str) -> str:
    """Return a template's text, filled in for this service."""
    return text.replace("NAME", name).replace("TITLE", name.capitalize())


def in_order(text: str) -> str:
    """Return the text with its imports sorted: the position of the service's own depends on its name."""
    imports = re.compile(r"(?:^from oms_\S+ import [^(\n]+\n)+", flags=re.MULTILINE)
    return imports.sub(lambda run: "".join(sorted(run[0].splitlines(keepends=True), key=_module)), text)


def _module(line: str) -> str:
    return line.split()[1]


def edit(path: Path, change: Callable[[str], str]) -> None:
    """Change a file's text."""
    path.write_text(change(path.read_text()))


def in_compose(text: str, name: str) -> str:
    """Return compose.yaml with the service, its database and the database's volume."""
    for opening in (f"  {LIKE}:", f"  {LIKE}-db:"):
        text = _with_copies(text, opening, name)
    return text


def in_skaffold(text: str, name: str) -> str:
    """Return skaffold.yaml with the service's image as the last artifact, and with what depends on it."""
    position = len(re.findall(r"^    - image: ", text, flags=re.MULTILINE))
    (artifact,) = _blocks(text, f"    - image: oms/{LIKE}")
    text = text.replace("deploy:\n", f"{artifact.replace(LIKE, name)}deploy:\n", 1)
    text = _with_copies(text, f"          services.{LIKE}.image:", name)
    (sync,) = (one for one in _blocks(text, "      - op: add") if f"services/{LIKE}/" in one)
    return text + re.sub(r"artifacts/\d+", f"artifacts/{position}", sync).replace(LIKE, name)


def _with_copies(text: str, opening: str, name: str) -> str:
    """Return the text in which each block with this opening line is followed by its copy for this service."""
    return _pattern(opening).sub(lambda block: block[0] + block[0].replace(LIKE, name), text)


def _blocks(text: str, opening: str) -> list[str]:
    """Return each block with this opening line."""
    return _pattern(opening).findall(text)


def _pattern(opening: str) -> re.Pattern[str]:
    """Return a pattern of a line, the more deeply indented lines below it, and an empty line after them."""
    depth = len(opening) - len(opening.lstrip())
    return re.compile(rf"^{re.escape(opening)}.*\n(?: {{{depth + 1},}}.*\n)*\n?", flags=re.MULTILINE)


if __name__ == "__main__":
    raise SystemExit(main())
