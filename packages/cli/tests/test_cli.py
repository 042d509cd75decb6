"""What the command line says without a platform, or next to one that is up."""

import json
import os
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from support import commandline

from oms_cli.up import check_room
from oms_platform.running import Running
from oms_servers.errors import DiskFull
from oms_servers.postgres import PostgresServer
from oms_servers.testing import free_port

# As `oms up` leaves it, after a kill, too.
OURS = (
    *(f"data/kafka/{name}" for name in ("server.properties", "log4j2.properties", "data/meta.properties")),
    *(f"data/mailcatcher/{name}" for name in ("mail.mbox", "sms.jsonl")),
    *("data/order.member", "logs/order.log", "logs/order-database.log", "logs/kafka.log", "logs/up.log"),
    *("admin-token", "admin-token.new", "up.json", "up.new", "up.lock"),
)


def oms(home: Path, *arguments: str, url: str | None = None) -> subprocess.CompletedProcess[str]:
    nowhere = url or f"http://127.0.0.1:{free_port()}"
    names = ("OMS_URL", "OMS_INVENTORY_URL", "OMS_MAILCATCHER_URL")
    environment = {**os.environ, "OMS_HOME": str(home), **dict.fromkeys(names, nowhere)}
    return commandline.run(arguments, environment)


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (("doctor",), "Nothing is changed. The exit code is 3 if something is held up."),
        (("order", "refund"), "If the answer is lost, the command says with which --key to repeat it."),
        ((), "a cancellation, a gateway that dies after charging"),
    ],
)
def test_help_is_wrapped_by_the_width_of_the_terminal_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], sentence: str
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    assert sentence in oms(tmp_path, *command, "--help").stdout


def test_the_command_line_says_which_release_it_is(tmp_path: Path) -> None:
    """What answers may be of another, which is what `oms` suspects when it cannot read an answer."""
    output = oms(tmp_path, "--version")
    assert (output.returncode, output.stdout) == (0, f"{version('oms-cli')}\n")


def test_status_of_nothing_says_how_to_start_it(tmp_path: Path) -> None:
    output = oms(tmp_path, "status")
    assert output.returncode == 1
    assert "OMS is not up" in output.stderr


def test_orders_of_a_platform_that_is_not_up_say_how_to_start_it(tmp_path: Path) -> None:
    output = oms(tmp_path, "order", "list")
    assert output.returncode == 1
    assert "does not answer" in output.stderr
    assert "make up" in output.stderr


@pytest.mark.parametrize("command", [("demo",), ("kill", "payment"), ("start", "payment"), ("down",)])
def test_what_needs_a_platform_says_how_to_start_one(tmp_path: Path, command: tuple[str, ...]) -> None:
    output = oms(tmp_path, *command)
    assert output.returncode == 1
    assert "OMS is not up" in output.stderr
    assert "`make up`" in output.stderr


def test_an_invalid_address_is_refused_in_a_sentence(tmp_path: Path) -> None:
    for address, said in (
        ("nowhere", "is not an http:// or https:// address"),
        ("http://[", "does not answer"),
        ("http://127.0.0.1:99999", "does not answer"),
    ):
        output = oms(tmp_path, "order", "list", url=address)
        assert output.returncode == 1
        assert said in output.stderr
        assert "OMS_URL" in output.stderr


def test_logs_of_an_unknown_program_name_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "order.log").write_text("one\ntwo\nthree\n")
    assert "There are: order" in oms(tmp_path, "logs", "ordre").stderr
    assert oms(tmp_path, "logs", "order", "-n", "2").stdout == "two\nthree\n"


def test_reset_removes_all_data(tmp_path: Path) -> None:
    home = tmp_path / "home"
    _leave(home, *OURS)
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(home / "control"))
    assert oms(home, "reset", "--yes").stdout == "removed\n"
    assert not home.exists()


@pytest.mark.parametrize(
    "theirs",
    [
        "thesis.txt",
        "control",
        "data/thesis.txt",
        "data/order/orders.csv",
        "data/mailcatcher/mails.txt",
        "logs/web.log",
        "logs/a/b",
    ],
)
def test_reset_removes_nothing_that_is_not_its_own(tmp_path: Path, theirs: str) -> None:
    """OMS_HOME may be any folder."""
    _leave(tmp_path, "data/kafka/server.properties", "admin-token", "logs/order.log", theirs)
    output = oms(tmp_path, "reset", "--yes")
    assert output.returncode == 0
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == [tmp_path / theirs]
    place = "/".join(theirs.split("/")[:2])
    assert ("kept" in output.stdout and place in output.stdout) == ("/" in theirs)


def test_reset_leaves_a_socket_on_which_another_program_listens(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(str(tmp_path / "control"))
        theirs.listen()
        assert oms(tmp_path, "reset", "--yes").returncode == 0
        assert (tmp_path / "control").is_socket()


def test_reset_refuses_while_the_platform_is_up(tmp_path: Path) -> None:
    with Running(tmp_path).alone():
        assert "`oms down` first" in oms(tmp_path, "reset", "--yes").stderr
    assert tmp_path.exists()


def test_too_little_room_is_reported_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oms_cli.up.ROOM", 1 << 60)
    with pytest.raises(DiskFull, match="MB are free on the disk of"):
        check_room(tmp_path / "not" / "there")


def test_json_is_one_document_on_standard_output(tmp_path: Path, postgres: PostgresServer) -> None:
    running = Running(tmp_path)
    with running.alone():
        running.publish([postgres], ready=True)
        output = oms(tmp_path, "status", "--json")
    assert output.returncode == 0
    assert json.loads(output.stdout)[0]["state"] == "ready"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ((), "for lines or for an amount"),
        (("--line", "Item1=1", "--amount", "5"), "for lines or for an amount"),
        (("--amount", "5", "--restock"), "puts nothing into the stock"),
        (("--line", "Item1"), "how much of it"),
        (("--line", "=2"), "how much of it"),
    ],
)
def test_a_refund_of_nothing_is_refused_before_anybody_is_asked(
    tmp_path: Path, options: tuple[str, ...], why: str
) -> None:
    output = oms(tmp_path, "order", "refund", "an-id", *options)
    assert (output.returncode, why in output.stderr) == (1, True)


@pytest.mark.parametrize("key", ["k\u00e9", "two\nlines", "a\ttab"])
def test_a_key_that_no_header_can_hold_is_refused_in_a_sentence(tmp_path: Path, key: str) -> None:
    output = oms(tmp_path, "order", "place", "--key", key)
    assert (output.returncode, "A key must be printable ASCII" in output.stderr) == (1, True)
    assert "Traceback" not in output.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("order", "show", "caf\udce9"),
        ("order", "list", "--email", "caf\udce9@example.com"),
        ("order", "cancel", "an-id", "--reason", "caf\udce9"),
        ("customers", "export", "caf\udce9@example.com"),
    ],
)
def test_what_was_typed_in_another_encoding_is_refused_in_a_sentence(tmp_path: Path, command: tuple[str, ...]) -> None:
    output = oms(tmp_path, *command)
    assert (output.returncode, "is not UTF-8" in output.stderr) == (1, True)
    assert "Traceback" not in output.stderr


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_full_disk_under_what_is_printed_is_reported_in_a_sentence(
    tmp_path: Path, postgres: PostgresServer, options: tuple[str, ...]
) -> None:
    with Running(tmp_path).alone():
        Running(tmp_path).publish([postgres], ready=True)
        with Path("/dev/full").open("w") as full:
            output = subprocess.run(
                [sys.executable, "-m", "oms_cli", "status", *options],
                env={**os.environ, "OMS_HOME": str(tmp_path)}, stdout=full, stderr=subprocess.PIPE, text=True,
                check=False, timeout=60,
            )  # fmt: skip
    assert (output.returncode, output.stderr.splitlines()) == (1, [
        "The disk is full: could not write what was to be printed", "Free some space and try again",
    ])  # fmt: skip


def _leave(home: Path, *names: str) -> None:
    for name in names:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).touch()
