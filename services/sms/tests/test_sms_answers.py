"""What docs/providers.md says of a provider's answers is true."""

import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from support.serving import LocalServer, serving

from oms_chassis.jobs.calls import label
from oms_notifications.jobs import ATTEMPTS
from oms_notifications.notice import Notice
from oms_sms.provider import HttpSmsProvider
from oms_sms.settings import SmsSettings

PAGE = (Path(__file__).parents[3] / "docs" / "providers.md").read_text()
(SECTION,) = re.findall(r"^## The SMS provider\n(.*?)^## ", PAGE, re.MULTILINE | re.DOTALL)


def rows() -> list[tuple[str, str]]:
    """(answers, outcome) of each line of the table."""
    return re.findall(r"^\| ([^|]*[0-9][^|]*) \| (done|retry|paused) \|", SECTION, re.MULTILINE)


def statuses(answers: str) -> Iterator[int]:
    """Those that are named, and one of each hundred that is."""
    for status in re.findall("[2-5](?:[0-9]{2}|xx)", answers):
        yield int(status.replace("xx", "04"))


class _Answering(BaseHTTPRequestHandler):
    """Answers with the status that the order's id says."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(int(self.headers["Idempotency-Key"].partition(".")[0]))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


@pytest.mark.parametrize(("answers", "outcome"), rows())
def test_what_becomes_of_a_text_by_each_answer(answers: str, outcome: str) -> None:
    with serving(LocalServer(_Answering)) as server:
        provider = HttpSmsProvider(
            SmsSettings(
                database_url="postgresql://unused", kafka_bootstrap="unused:1", sms_url=server.url, sms_from="OMS"
            )
        )
        found = {
            status: label(provider.send(Notice(str(status), "confirmed", "+94762222222", "Hello")))
            for status in statuses(answers)
        }
        provider.close()
    assert found
    assert set(found.values()) == {outcome}


def test_each_answer_has_its_line_and_the_attempts_are_those_that_there_are() -> None:
    assert sorted(status for answers, _ in rows() for status in statuses(answers)) == [
        *(204, 304, 400, 403, 404, 408, 409, 413, 422, 425, 451, 503, 504)
    ]
    assert set(re.findall("([0-9]+) times at most", SECTION)) == {str(ATTEMPTS)}
