"""How an order is followed, next to a server whose streams end before the order does."""

import json
import socket
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from support.serving import serving

from oms_cli import timeline
from oms_cli.answers import Refused, TooSlow
from oms_cli.client import Client
from oms_cli.unanswered import Unreachable
from oms_servers.testing import free_port

CUT, BUSY, NOTHING_MORE, GONE = "cut off", "503", "204", "404"
Step = dict[str, Any]


def step(position: int, status: str, **more: Any) -> Step:
    return {"position": position, "status": status, "at": "2026-11-27T12:00:00Z", **more}


class _Streaming(BaseHTTPRequestHandler):
    server: "_Service"

    def do_GET(self) -> None:
        self.server.seen.append(self.headers.get("Last-Event-ID"))
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, str) and answer.isdecimal():
            self.send_response(int(answer))
            self.send_header("Content-Length", "0") if answer != NOTHING_MORE else None
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for one in answer:
            if isinstance(one, str):
                self.wfile.write(b"id: 99\n")
                self.connection.shutdown(socket.SHUT_RDWR)
            else:
                text = f"id: {one['position']}\nevent: status\ndata: {json.dumps(one)}\n\n"
                self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        """Nothing: the test says what matters."""


class _Service(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Streaming)
        self.answers: list[str | Sequence[Step | str]] = []
        self.seen: list[str | None] = []

    def follow(self, seconds: float = 30.0) -> list[int]:
        """The positions of what a client is shown of an order."""
        url = f"http://127.0.0.1:{self.server_address[1]}"
        return [one["position"] for one in Client(url, url, url).events("a", seconds)]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "PAUSE_SECONDS", 0.01)


@pytest.fixture
def service() -> Iterator[_Service]:
    with serving(_Service()) as server:
        yield server


BEGUN = [step(1, "PENDING"), step(2, "PAID")]
ENDS = [step(3, "CONFIRMED")]


@pytest.mark.parametrize("end", [BEGUN, [*BEGUN, CUT]], ids=["drained", "died"])
@pytest.mark.parametrize("between", [[], [BUSY, BUSY], [[], []]], ids=["at once", "while it comes back", "in silence"])
def test_a_stream_that_ends_before_the_order_is_gone_on_with(
    service: _Service, end: list[Step | str], between: list[Any]
) -> None:
    service.answers = [end, *between, ENDS]
    assert service.follow() == [1, 2, 3]
    assert service.seen == [None, *["2"] * len(between), "2"]


def test_an_order_that_ended_while_nobody_could_follow_has_nothing_more_to_come(service: _Service) -> None:
    service.answers = [BEGUN, NOTHING_MORE]
    assert service.follow() == [1, 2]


@pytest.mark.parametrize("status", ["CONFIRMED", "CANCELLED"])
def test_an_order_that_has_ended_is_followed_no_further(service: _Service, status: str) -> None:
    service.answers = [[*BEGUN, step(3, status)], GONE]
    assert service.follow() == [1, 2, 3]


def test_a_refund_that_is_under_way_is_followed_to_its_end(service: _Service) -> None:
    refunds = [step(4, "CONFIRMED", refundId=one, refundStatus="PENDING") for one in ("r", "s")]
    first = step(5, "CONFIRMED", refundId="r", refundStatus="SUCCEEDED")
    second = step(6, "CONFIRMED", refundId="s", refundStatus="FAILED")
    service.answers = [[*BEGUN, *ENDS, *refunds], [first], [second], GONE]
    assert service.follow() == [1, 2, 3, 4, 4, 5, 6]
    assert service.seen == [None, "4", "5"]


@pytest.mark.parametrize("answer", [[], BUSY])
def test_an_order_that_does_not_end_in_time_is_too_slow(service: _Service, answer: Any) -> None:
    service.answers = [BEGUN, answer]
    with pytest.raises(TooSlow, match="has not ended"):
        service.follow(0.3)


@pytest.mark.parametrize(("answers", "seen"), [([GONE], [None]), ([BUSY], [None]), ([BEGUN, GONE], [None, "2"])])
def test_what_is_refused_is_not_asked_for_again(service: _Service, answers: list[Any], seen: list[str | None]) -> None:
    service.answers = answers
    with pytest.raises(Refused):
        service.follow()
    assert service.seen == seen


def test_where_nothing_listens_nothing_is_followed() -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Unreachable):
        list(Client(nowhere, nowhere, nowhere).events("a"))
