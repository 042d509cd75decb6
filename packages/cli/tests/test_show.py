"""What a person reads of an order."""

from io import StringIO

from rich.console import Console

from oms_cli import show

AT = "2026-01-01T00:00:00Z"


def printed(*steps: dict[str, object]) -> str:
    console = Console(file=StringIO(), width=200)
    console.print(show.timeline([{"status": "CONFIRMED", "at": AT, **step} for step in steps]))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_a_timeline_shows_what_the_bank_took_back_and_what_became_of_refunds() -> None:
    shown = printed({"disputeId": "dp-1", "disputed": 250}, {"refundStatus": "FAILED", "note": "gateway-failed"})
    assert "disputed, 250 in minor units: dp-1" in shown
    assert "refund FAILED: gateway-failed" in shown
