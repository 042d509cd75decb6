"""Compares the lengths of functions and modules with the budgets that keep them readable.

Fails if the median or the 90th percentile of all functions exceeds its budget, and lists those that are too long.
A function's lines are those from `def` to its end, without its docstring.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

MEDIAN, P90, MODULE = 8, 25, 200
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Function:
    """A function and its number of lines."""

    name: str
    lines: int


def modules() -> list[Path]:
    """Return the modules of packages and services, without tests and migrations."""
    found = [path for top in ("packages", "services") for path in (ROOT / top).glob("*/oms_*/**/*.py")]
    return sorted(path for path in found if "migrations/versions" not in str(path))


def functions(path: Path) -> Iterator[Function]:
    """Yield every function and method of a module, including nested ones."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            where = f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
            yield Function(where, (node.end_lineno or node.lineno) - node.lineno + 1 - _docstring(node))


def _docstring(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    is_text = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    return (first.end_lineno or first.lineno) - first.lineno + 1 if is_text and len(node.body) > 1 else 0


def main() -> int:
    paths = modules()
    found = [function for path in paths for function in functions(path)]
    lengths = [function.lines for function in found]
    middle, p90 = median(lengths), quantiles(lengths, n=10)[-1]
    for function in sorted(found, key=lambda one: -one.lines):
        if function.lines > P90:
            print(f"  {function.lines:4} lines (> {P90}): {function.name}")
    for path in paths:
        lines = len(path.read_text().splitlines())
        if lines > MODULE:
            print(f"  {lines:4} lines (> {MODULE}): {path.relative_to(ROOT)}")
    print(f"{len(found)} functions in {len(paths)} modules: median {middle:g} (<= {MEDIAN}), p90 {p90:g} (<= {P90})")
    return 0 if middle <= MEDIAN and p90 <= P90 else 1


if __name__ == "__main__":
    sys.exit(main())
