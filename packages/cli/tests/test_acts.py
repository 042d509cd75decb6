"""What every command that changes something has in common: who acts and why, a trial, an answer for machines.

The commands are those of the tree, so that a new one cannot be left out: it is an act until READS says that it only
looks.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from oms_cli.batches import act_on_each
from oms_cli.cli import app
from oms_cli.options import acting

# Those that change nothing of any OMS.
READS = {
    "audit list", "customers export", "deadletters list", "deadletters show", "doctor", "fail list", "inventory check",
    "inventory movements", "items", "jobs list", "keys list", "logs", "messages", "messages list", "messages show",
    "order list", "order show", "order watch", "outbox list", "payments list", "payments show", "status",
}  # fmt: skip
# Those of the platform on this machine: nobody's orders are acted on, and what they did is said in a sentence.
OF_THIS_MACHINE = {"demo", "down", "kill", "reset", "restart", "start", "stop", "up"}
# As a customer's program would do them, over the public interface: it knows who calls, and a key makes them repeatable.
OF_CALLERS = {"order cancel", "order place", "order refund"}
# Those that an act undoes at once (`fail clear`, `keys revoke`), so that there is nothing to try first.
UNDONE_AT_ONCE = {"fail clear", "fail set", "keys create"}
# Those that name one thing, or mean all there is; the others are chosen by filters, or are several.
OF_ONE = {"customers erase", "inventory publish", "keys revoke", "payments resolve", "payments retry-refund"}


def tree(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each command by its words; a group that does something by itself is one, too."""
    for name, command in group.commands.items():
        words = f"{path} {name}".strip()
        if hasattr(command, "commands"):
            if command.invoke_without_command:
                yield words, command
            yield from tree(command, words)
        else:
            yield words, command


COMMANDS = dict(tree(typer.main.get_command(app)))
ACTS = sorted(COMMANDS.keys() - READS - OF_THIS_MACHINE)
REPAIRS = sorted(set(ACTS) - OF_CALLERS)


def options(words: str) -> set[str]:
    return {option for parameter in COMMANDS[words].params for option in parameter.opts}


def test_what_is_excepted_is_there() -> None:
    assert COMMANDS.keys() >= READS | OF_THIS_MACHINE | OF_CALLERS | UNDONE_AT_ONCE | OF_ONE
    assert {"deadletters redrive", "deadletters drop", "jobs retry", "jobs cancel", "keys revoke", "messages resend",
            "order cancel", "order refund", "outbox redrive", "payments resolve",
            "payments retry-refund"} <= set(ACTS)  # fmt: skip


@pytest.mark.parametrize("words", ACTS)
def test_an_act_answers_machines_and_says_with_an_example_or_a_sentence_what_it_does(words: str) -> None:
    assert "--json" in options(words)
    assert len(COMMANDS[words].help or "") > 20


@pytest.mark.parametrize("words", REPAIRS)
def test_an_operator_says_who_acts_and_why_and_where(words: str) -> None:
    assert {"--as", "--reason", "--url"} <= options(words)


@pytest.mark.parametrize("words", sorted(set(REPAIRS) - UNDONE_AT_ONCE))
def test_what_is_hard_to_undo_can_be_tried_first(words: str) -> None:
    assert "--dry-run" in options(words)


def test_a_trial_says_that_nothing_is_changed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMS_ADMIN_TOKEN", "of-this-test-0123456789")
    acting(None, "ann", None)
    assert capsys.readouterr().err == ""
    acting(None, "ann", None, dry_run=True)
    assert "nothing is changed" in capsys.readouterr().err


def test_an_act_on_all_says_so_if_there_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    act_on_each(list[str](), lambda _: {}, str, as_json=True)
    assert capsys.readouterr() == ("", "there is nothing like that\n")


@pytest.mark.parametrize("words", sorted(OF_CALLERS))
def test_what_a_caller_does_is_repeated_safely_by_its_key(words: str) -> None:
    assert "--key" in options(words)


@pytest.mark.parametrize("words", sorted(set(REPAIRS) - UNDONE_AT_ONCE - OF_ONE))
def test_what_may_be_many_takes_several_ids_and_a_list_finds_them_by_filters(words: str) -> None:
    several = [one for one in COMMANDS[words].params if one.param_type_name == "argument" and one.nargs == -1]
    assert several
    listing = f"{words.split()[0]} list"
    assert {"--limit"} <= options(listing)
    assert len(options(listing) & {"--order", "--state", "--channel", "--topic", "--service"}) >= 1


@pytest.mark.parametrize("words", sorted(one for one in READS if one.endswith(" list")))
def test_a_list_is_there_for_machines_too(words: str) -> None:
    assert "--json" in options(words)
