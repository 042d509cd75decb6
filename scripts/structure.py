"""Prints figures about the structure of the code: `make structure`.

Modules are those of packages and services, without tests and migrations. An arrow goes from a module to each of this
project's modules that it imports, anywhere in its code. Fails if modules import each other in a circle.
"""

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from statistics import median, quantiles

from scripts import sizes, words

Graph = Mapping[str, AbstractSet[str]]


def graph(paths: Sequence[Path]) -> Graph:
    """Return for each module which of these modules it imports."""
    files = {module_name(path): path for path in paths}
    return {name: set(_imported(name, path, files.keys())) - {name} for name, path in files.items()}


def module_name(path: Path) -> str:
    """Return the name by which a file is imported."""
    parts = path.with_suffix("").parts
    start = next(number for number, part in enumerate(parts) if part.startswith("oms_"))
    return ".".join(part for part in parts[start:] if part != "__init__")


def _imported(name: str, path: Path, known: AbstractSet[str]) -> Iterator[str]:
    package = name if path.stem == "__init__" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(node, package)
            # A name that is imported from a package may be one of its modules, or a name in it.
            wanted = {f"{origin}.{alias.name}" for alias in node.names}
            yield from wanted & known or {origin} & known


def _origin(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    above = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])


def circles(arrows: Graph) -> list[list[str]]:
    """Return the groups of modules in which each imports every other one, directly or through others."""
    reached = {module: _reached(arrows, module) for module in arrows}
    together = {
        frozenset(other for other in reach if module in reached[other])
        for module, reach in reached.items()
        if module in reach
    }
    return sorted(sorted(one) for one in together)


def _reached(arrows: Graph, start: str) -> set[str]:
    found: set[str] = set()
    waiting = list(arrows[start])
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += arrows[module]
    return found


def longest_path(arrows: Graph, package: str) -> list[str]:
    """Return the longest chain of imports within a package without circles, from the top down: one module per layer."""
    chains: dict[str, list[str]] = {}

    def chain(module: str) -> list[str]:
        if module not in chains:
            below = [chain(other) for other in sorted(arrows[module]) if _is_in(other, package)]
            chains[module] = [module, *max(below, key=len, default=[])]
        return chains[module]

    return max((chain(module) for module in sorted(arrows) if _is_in(module, package)), key=len, default=[])


def _is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def report(paths: Sequence[Path]) -> tuple[list[str], int]:
    """Return the lines to print, and the number of circles."""
    arrows = graph(paths)
    rings = circles(arrows)
    lengths = [function.lines for path in paths for function in sizes.functions(path)]
    longest = max(paths, key=_lines)
    lines = [
        f"modules           {len(arrows)}, with {sum(map(len, arrows.values()))} arrows between them",
        f"import circles    {len(rings)}",
        *(f"  {' <-> '.join(ring)}" for ring in rings),
        *(_floors(arrows) if not rings else ()),
        f"function lengths  median {median(lengths):g}, p90 {quantiles(lengths, n=10)[-1]:g}, longest {max(lengths)}",
        f"longest module    {_lines(longest)} lines: {longest.relative_to(sizes.ROOT)}",
        f"old words left    {sum(1 for _ in words.in_files(words.chosen([], [])))}",
    ]
    return lines, len(rings)


def _floors(arrows: Graph) -> Iterator[str]:
    path = longest_path(arrows, "oms_chassis")
    yield f"oms_chassis       {len(path)} floors: {' > '.join(one.removeprefix('oms_chassis.') for one in path)}"


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def main() -> int:
    """Print the figures. Return the exit code."""
    lines, rings = report(sizes.modules())
    print("\n".join(lines))
    return 1 if rings else 0


if __name__ == "__main__":
    sys.exit(main())
