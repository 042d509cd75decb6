"""Reads Dockerfiles as Skaffold does: the COPY lines of every stage, whichever stage is built."""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

VARIABLE = re.compile(r"\$(?:(?P<plain>\w+)|\{(?P<braced>\w+)(?::-(?P<default>[^}]*))?\})")


class Unresolved(Exception):
    """A FROM or a COPY depends on an ARG that has no value."""


@dataclass(frozen=True)
class Stage:
    """One FROM and the sources that its COPY lines take from the build context."""

    base: str
    sources: tuple[str, ...]


def stages(text: str, build_args: Mapping[str, str]) -> list[Stage]:
    """Return the stages of a Dockerfile, with ARGs resolved as Docker does. Raises Unresolved if one has no value.

    ARGs before the first FROM are visible to FROM lines, and to a stage only if it declares them again.
    """
    header: dict[str, str] = {}
    scope = header
    found: list[tuple[str, list[str]]] = []
    for word, rest in _instructions(text):
        if word == "ARG":
            scope |= _declared(rest, header, build_args)
        elif word == "FROM":
            found.append((_resolve(rest, header).split()[0], []))
            scope = {}
        elif word == "COPY":
            found[-1][1].extend(_sources(_resolve(rest, scope)))
    return [Stage(base, tuple(sources)) for base, sources in found]


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word:
            yield word.upper(), rest.strip()


def _declared(rest: str, header: Mapping[str, str], build_args: Mapping[str, str]) -> dict[str, str]:
    name, assigned, default = rest.partition("=")
    value = build_args.get(name, default if assigned else header.get(name))
    return {} if value is None else {name: value}


def _resolve(text: str, scope: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        found = scope.get(match["plain"] or match["braced"], match["default"])
        if not found:
            raise Unresolved(f"{match[0]} in {text}")
        return found

    return VARIABLE.sub(value, text)


def _sources(rest: str) -> list[str]:
    words = shlex.split(rest)
    flags = [word for word in words if word.startswith("--")]
    if any(flag.startswith("--from=") for flag in flags):
        return []
    return words[len(flags) : -1]


def is_in_context(root: Path, source: str) -> bool:
    """Whether a COPY's source matches a file that .dockerignore lets into the build context."""
    patterns = _ignore_patterns(root)
    found = (file for hit in root.glob(source.strip("/")) for file in _files(hit))
    return any(not _is_ignored(file.relative_to(root), patterns) for file in found)


def _files(path: Path) -> Iterator[Path]:
    return path.rglob("*") if path.is_dir() else iter((path,))


def _ignore_patterns(root: Path) -> list[tuple[bool, re.Pattern[str]]]:
    """Return the patterns of .dockerignore, and whether each excludes; the last one that matches decides."""
    lines = (line.strip() for line in (root / ".dockerignore").read_text().splitlines())
    return [
        (not line.startswith("!"), _pattern(line.lstrip("!").strip("/")))
        for line in lines
        if line and not line.startswith("#")
    ]


def _pattern(line: str) -> re.Pattern[str]:
    expression = re.escape(line)
    for wildcard, meaning in ((r"\*\*/", "(?:.*/)?"), (r"\*\*", ".*"), (r"\*", "[^/]*"), (r"\?", "[^/]")):
        expression = expression.replace(wildcard, meaning.replace("*", "\0"))
    return re.compile(expression.replace("\0", "*"))


def _is_ignored(path: Path, patterns: list[tuple[bool, re.Pattern[str]]]) -> bool:
    names = [str(path), *(str(parent) for parent in path.parents if parent.name)]
    ignored = False
    for leaves_out, pattern in patterns:
        if any(pattern.fullmatch(name) for name in names):
            ignored = leaves_out
    return ignored
