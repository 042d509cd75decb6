"""What a person reads of an order."""

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from rich.console import Console, RenderableType

from oms_cli import audit, doctor, show
from oms_cli.output import out
from oms_servers.errors import LocalError

AT = "2026-01-01T00:00:00Z"


def printed(found: Any, render: Callable[[Any], RenderableType], width: int = 200) -> str:
    file = StringIO()
    out(found, render, as_json=False, console=Console(file=file, width=width))
    return file.getvalue()


def timeline(*steps: dict[str, object]) -> str:
    return printed([{"status": "CONFIRMED", "at": AT, **step} for step in steps], show.timeline)


def orders_of(name: str) -> str:
    order = {"id": "o", "status": "PAID", "total": 1, "currency": "USD", "customer": {"name": name}, "placedAt": AT}
    return printed([order], show.orders)


def test_of_orders_of_other_days_the_day_is_shown() -> None:
    assert "2026-01-0" in orders_of("Ann") or "2025-12-31" in orders_of("Ann")  # by this machine's zone


def test_a_step_of_another_day_than_the_first_says_which() -> None:
    shown = timeline({"at": "2026-03-10T12:00:00Z"}, {"at": "2026-03-10T12:00:01Z"}, {"at": "2026-03-14T12:00:00Z"})
    first, second, third = shown.splitlines()[1:]
    assert "2026" not in first + second
    assert "+1000 ms" in second
    assert "2026-03-14" in third
    assert "+345600 s" in third


@pytest.mark.parametrize("width", [80, 40])
def test_an_id_is_whole_however_narrow_the_terminal_is(width: int) -> None:
    """Whoever copies it gives it to another command."""
    id_ = "01a2220d-4c68-7ffd-98e5-3d02d3486609"
    customer = {"name": "Anjana of the Long Name"}
    order = {"status": "CONFIRMED", "total": 2500, "currency": "USD", "customer": customer, "placedAt": AT}
    assert f"{id_} " in printed([{"id": id_, **order}], show.orders, width)


def test_the_command_that_helps_is_one_line_however_narrow_the_terminal_is() -> None:
    command = "oms payments resolve 01a221f3-3fb9-718f-a424-b0e090a97a7c --refund 01a221f3-4787-739e-a6e2-490717afd53e"
    finding = {"what": "order 7", "step": "refund", "since": AT, "evidence": "lost", "command": command}
    assert f"  {command}\n" in printed([finding], doctor.rendered, 40)


def changed(orders: list[str]) -> str:
    """What the audit log shows of an act on these orders."""
    act = {"operator": "ann", "service": "order", "action": "customers.export", "subject": "customer", "reason": None}
    return printed([{"at": AT, **act, "before": None, "after": {"orders": orders}}], audit.entries)


def test_an_act_on_very_many_orders_is_a_line_of_the_audit_log() -> None:
    assert 'orders: none → ["o-0", "o-1", "o-2"] and 1297 others' in changed([f"o-{n}" for n in range(1300)])
    assert 'orders: none → ["o-0", "o-1", "o-2"] ' in changed([f"o-{n}" for n in range(3)])


def test_a_timeline_shows_what_the_bank_took_back_and_what_became_of_refunds() -> None:
    shown = timeline({"disputeId": "dp-1", "disputed": 250}, {"refundStatus": "FAILED", "note": "gateway-failed"})
    assert "disputed, 250 in minor units: dp-1" in shown
    assert "refund FAILED: gateway-failed" in shown


@pytest.mark.parametrize("name", ["[/bold]", "[red]Ada", "[link=https://evil.example]Ada", ":warning: Ada", "\\[Ada"])
def test_what_others_wrote_is_shown_as_they_wrote_it(name: str) -> None:
    assert name in orders_of(name)


@pytest.mark.parametrize("line", ["[/bold]", "[red]1[/]", ":warning:"])
def test_a_line_is_shown_as_it_is(line: str) -> None:
    assert printed(line, str) == f"{line}\n"


def test_control_characters_of_others_are_shown_and_do_nothing_to_the_terminal() -> None:
    assert r"\x1b[2JAda\x9b31m" in orders_of("\x1b[2JAda\x9b31m")
    message = {"kind": "sms", "to": "\x1b]0;x\x07", "text": "a\x1b[2J\nb"}
    file = StringIO()
    show.failure(Console(file=file), LocalError("\x1b[2J", "\x9b31m"))
    for shown in (printed([message], show.messages), file.getvalue()):
        assert not set(shown) & {"\x1b", "\x9b", "\x07"}
