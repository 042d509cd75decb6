"""Write docs/problems.md from the classes of problems: `python -m scripts.problems [--check]`."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from oms_chassis.http.problems import HttpError, Problem
from oms_contracts.topics import SERVICES
from scripts import generated

PAGE = Path(__file__).parents[1] / "docs" / "problems.md"
TEXT = """# Problems

Every error that a service can answer, by the last part of its `type` ([RFC
9457](https://www.rfc-editor.org/rfc/rfc9457)). A type such as `/problems/out-of-stock` is a stable identifier, not
an address that can be fetched. Clients decide by `type` and status; `title` and `detail` are for people. `errors`
names each invalid field, and never repeats its value.

This page is written by `python -m scripts.problems`; `make lint` fails if it differs from the code.

{table}
"""


def page() -> str:
    """Return the page."""
    rows = sorted(set(_rows()))
    lines = ["| type | status | title | what it means |", "| --- | --- | --- | --- |", *map(_line, rows)]
    return TEXT.format(table="\n".join(lines))


def _line(row: tuple[str, int, str, str]) -> str:
    kind, status, title, meaning = row
    return f"| `{kind}` | {status} | {title} | {meaning} |"


def _rows() -> Iterator[tuple[str, int, str, str]]:
    for kind in _known():
        yield kind.kind, kind.status, kind.title, " ".join((kind.__doc__ or "").split())
    for status, (name, title) in HttpError.KNOWN.items():
        yield name, status, title, "The server refuses the request before any route sees it."


def _known() -> Iterator[type[Problem]]:
    """Yield every class of problems, whichever module it is in."""
    for name in ("chassis", "notifications", "gateway", *SERVICES):
        package = import_module(f"oms_{name}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".migrations" not in module.name and not module.name.endswith("__main__"):
                import_module(module.name)
    yield from (kind for kind in _below(Problem) if "kind" in vars(kind) and kind.__module__.startswith("oms_"))


def _below(kind: type[Problem]) -> Iterator[type[Problem]]:
    for one in kind.__subclasses__():
        yield one
        yield from _below(one)


def main() -> int:
    """Write or check the page. Return the exit code: 1 if it is not up to date (--check)."""
    return generated.keep("scripts.problems", __doc__, PAGE, page())


if __name__ == "__main__":
    raise SystemExit(main())
