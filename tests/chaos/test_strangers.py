"""Whoever cannot ask has been shown nothing, which is no proof that nothing is shown."""

from typing import Any

import httpx2
import pytest
from support.proxied import ProxiedPlatform

from chaos import strangers
from oms_servers.errors import LocalError

PROXIED: ProxiedPlatform = None  # type: ignore[assignment] # nobody gets as far as that


def answering(monkeypatch: pytest.MonkeyPatch, *answers: list[str] | Exception) -> None:
    """The first answer to the first who asks, and so on; the last one to everybody else."""
    left = list(answers)

    def ask(*_: Any) -> list[str]:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(strangers, "ask", ask)
    monkeypatch.setattr(strangers, "AGAIN", 0.0)


@pytest.mark.parametrize("error", [LocalError("it did not start"), httpx2.ConnectError("refused")])
def test_that_nobody_could_ask_is_a_finding(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    answering(monkeypatch, error)
    (found,) = strangers.look(PROXIED, [], within=0.0)
    assert "nobody could ask" in found


def test_who_cannot_ask_at_once_asks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, LocalError("it did not start"), ["GET /order/1: 200"])
    assert strangers.look(PROXIED, []) == ["GET /order/1: 200"]
