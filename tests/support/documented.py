"""The commands that documents give."""

import re
import shlex
from collections.abc import Iterator
from itertools import product
from typing import Any

import typer.main

from oms_cli.cli import app

Refused: type[Exception] = typer.BadParameter.__mro__[1]  # whatever the parser does not take
SHELLS = ("", "sh", "bash")
NUMBERED = {"deadletters", "outbox"}  # letters and rows are numbered, orders and jobs are not


def fenced(text: str) -> Iterator[str]:
    """The lines of a document's blocks that are for a shell."""
    for language, block in re.findall(r"```(\w*)\n(.*?)```", text, re.DOTALL):
        if language in SHELLS:
            yield from (line for line in block.splitlines() if line.strip())


def commands(text: str, program: str) -> Iterator[str]:
    """Whole commands of a document: the lines of its blocks, and what is in backticks."""
    quoted = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    for line in (*fenced(text), *(" ".join(one.split()) for one in quoted)):
        command = line.strip().removeprefix(".venv/bin/")
        if command.startswith(f"{program} "):
            yield command


def words(command: str) -> list[str]:
    """The words of a command, without what follows a pipe or sends it into the background."""
    found = shlex.split(command, comments=True)
    return found[: next((place for place, word in enumerate(found) if word in {"|", "&"}), len(found))]


def parse(command: list[str]) -> None:
    """Parse the words of a command of `oms`, with whatever is put for an id or a service; AssertionError if there is no
    such command, and Refused if it does not take them. What is named in passing is not parsed: a group, or a command
    without what it is about. `a|b` is each of them."""
    for one in product(*(word.split("|") for word in command[1:])):
        _parse(list(one))


def _parse(rest: list[str]) -> None:
    found: Any = typer.main.get_command(app)
    group = rest[0]
    while rest and rest[0] in getattr(found, "commands", ()):
        found, rest = found.commands[rest[0]], rest[1:]
    assert not (hasattr(found, "commands") and rest and not rest[0].startswith("-")), rest
    if not rest or hasattr(found, "commands"):
        return
    identity = "7" if group in NUMBERED else "0192d3a4-0000-7000-8000-000000000000"
    values = [
        {"SERVICE": "sms", "QUEUE": "sms"}.get(word, re.sub("^(ID|OLD_ID|ORDER)$", identity, word)) for word in rest
    ]
    with found.make_context("oms", values) as context:  # it is parsed, and not called
        assert context.command is found
