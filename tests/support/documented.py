"""Extracts and parses the commands in the documents."""

import re
import shlex
from collections.abc import Iterator
from itertools import product
from typing import Any

import typer.main

from oms_cli.cli import app

Refused: type[Exception] = typer.BadParameter.__mro__[1]  # raised by the parser for anything that it rejects
SHELLS = ("", "sh", "bash")
NUMBERED = {"deadletters", "outbox"}  # letters and rows are numbered, orders and jobs are not


def fenced(text: str) -> Iterator[str]:
    """Yield the lines of a document's shell blocks."""
    for language, block in re.findall(r"```(\w*)\n(.*?)```", text, re.DOTALL):
        if language in SHELLS:
            yield from (line for line in block.splitlines() if line.strip())


def commands(text: str, program: str) -> Iterator[str]:
    """Yield the complete commands of a document: those in its shell blocks, and in backticks."""
    quoted = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    for line in (*fenced(text), *(" ".join(one.split()) for one in quoted)):
        command = line.strip().removeprefix(".venv/bin/")
        if command.startswith(f"{program} "):
            yield command


def words(command: str) -> list[str]:
    """Return the words of a command, up to a pipe or `&`."""
    found = shlex.split(command, comments=True)
    return found[: next((place for place, word in enumerate(found) if word in {"|", "&"}), len(found))]


def parse(command: list[str]) -> None:
    """Parse the words of an `oms` command, which may have placeholders for ids and services. Raises AssertionError if
    there is no such command, and Refused if it does not accept the words. A group, or a command without its arguments,
    is only mentioned by a document and not parsed. `a|b` means each alternative."""
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
    with found.make_context("oms", values) as context:  # it is parsed but not called
        assert context.command is found
