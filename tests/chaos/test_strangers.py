"""A stranger who cannot send requests is shown nothing, which does not prove that strangers see nothing."""

from typing import Any

import httpx2
import pytest
from support.proxied import ProxiedPlatform

from chaos import strangers
from oms_servers.errors import LocalError

PROXIED: ProxiedPlatform = None  # type: ignore[assignment] # nobody gets as far as that


def answering(monkeypatch: pytest.MonkeyPatch, *answers: list[str] | Exception) -> None:
    """Give these answers one after the other, and the last one from then on."""
    left = list(answers)

    def ask(*_: Any) -> list[str]:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(strangers, "ask", ask)
    monkeypatch.setattr(strangers, "AGAIN", 0.0)


@pytest.mark.parametrize("error", [LocalError("it did not start"), httpx2.ConnectError("refused")])
def test_a_check_without_any_answer_is_a_finding(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    answering(monkeypatch, error)
    (found,) = strangers.look(PROXIED, [], within=0.0)
    assert "nobody could ask" in found


def test_a_request_that_fails_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, LocalError("it did not start"), ["GET /order/1: 200"])
    assert strangers.look(PROXIED, []) == ["GET /order/1: 200"]
