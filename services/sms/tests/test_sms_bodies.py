"""What comes after the head of an answer, and before it."""

import json
import re
import socket

import pytest
from support.texting import BODIES, PAGE, listening, notice, outcomes, provider, scripted

from oms_chassis.jobs.queue import Outcome, Paused
from oms_notifications.notice import sent, turned_down


@pytest.mark.parametrize("answer", BODIES)
def test_an_answer_that_is_too_long_or_no_json_is_still_a_yes(answer: int) -> None:
    with scripted(answer) as server:
        assert outcomes(server, 2) == [sent("o-1.confirmed"), sent("sms-7")]


@pytest.mark.parametrize("early", ["100 Continue", "102 Processing", "103 Early Hints\r\nLink: </style.css>"])
def test_what_a_provider_says_before_its_answer_is_no_answer(early: str) -> None:
    """RFC 9110, 15.2. Taken for one, the answer to this text would be that of the next one."""

    def serve(connection: socket.socket) -> None:
        with connection.makefile("rb") as requests:
            for answer in (
                "422 Unprocessable\r\nContent-Length: 0",
                '201 Created\r\nContent-Length: 10\r\n\r\n{"id":"7"}',
            ):
                head = b"".join(iter(requests.readline, b"\r\n")).decode()
                requests.read(int(re.findall(r"Content-Length: (\d+)", head)[0]))
                end = "" if "{" in answer else "\r\n\r\n"
                connection.sendall(f"HTTP/1.1 {early}\r\n\r\nHTTP/1.1 {early}\r\n\r\nHTTP/1.1 {answer}{end}".encode())

    with listening(serve) as (address, serving):
        with provider(f"http://{address}/sms", sms_call_seconds=5.0) as sms:
            assert [sms.send(notice(order)) for order in ("o-1", "o-2")] == [turned_down("sms: 422"), sent("7")]
        serving.result(10)


LONG = json.dumps({"id": "sms-7", "echo": "x" * 30_000}).encode()  # it does not come with its head


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(LONG), LONG),
        b"HTTP/1.1 201 Created\r\nConnection: close\r\n\r\n%s" % LONG,
        b"HTTP/1.0 201 Created\r\n\r\n%s" % LONG,
        b"HTTP/1.1 201 Created\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"
        % (len(LONG), LONG),
    ],
    ids=["of a length", "until the end", "HTTP/1.0", "chunked"],
)
def test_the_last_answer_of_a_connection_is_read_to_its_end(answer: bytes) -> None:
    """http.client lets go of a connection before it has read such an answer."""

    def serve(connection: socket.socket) -> bytes:
        connection.recv(65536)
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)
        return connection.recv(1)

    with listening(serve) as (address, serving), provider(f"http://{address}/sms", sms_call_seconds=5.0) as sms:
        assert sms.send(notice()) == sent("sms-7")
        assert serving.result(10) == b""  # and the connection is closed here, too


BROKEN = {
    "shorter than its length": b'Content-Length: 99\r\n\r\n{"id": "7"}',
    "of no length": b'Content-Length: many\r\n\r\n{"id": "7"}',
    "chunks that do not end": b'Transfer-Encoding: chunked\r\n\r\nb\r\n{"id": "7"}\r\n',
    "chunks of no size": b'Transfer-Encoding: chunked\r\n\r\nwhat?\r\n{"id": "7"}\r\n0\r\n\r\n',
    "chunks below nothing": b'Transfer-Encoding: chunked\r\n\r\n-b\r\n{"id": "7"}\r\n0\r\n\r\n',
    "coded in two ways": b'Transfer-Encoding: gzip, chunked\r\n\r\nb\r\n{"id": "7"}\r\n0\r\n\r\n',
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize(
    ("head", "outcome"),
    [
        (b"201 Created", sent("o-1.confirmed")),
        (b"422 No", turned_down("sms: 422")),
        (b"429 Wait\r\nRetry-After: 7", Paused("sms: 429", 7.0)),
        (b"200 OK\r\nContent-Type: text/html", Paused("sms: 200 with a web page")),
    ],
    ids=["yes", "no", "later", "page"],
)
def test_an_answer_counts_though_its_body_cannot_be_read_to_its_end(head: bytes, outcome: Outcome, body: bytes) -> None:
    """Else a text that was taken would be tried again for hours, and so would one that was refused, with the queue
    paused for it."""

    def serve(connection: socket.socket) -> bytes:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 %s\r\n%s" % (head, body))
        return connection.recv(1)

    with listening(serve) as (address, serving), provider(f"http://{address}/sms", sms_timeout=0.3) as sms:
        assert sms.send(notice()) == outcome
        assert serving.result(10) == b""  # and nothing else is asked by this connection


def test_a_web_page_in_the_provider_s_place_is_no_yes() -> None:
    """That of a proxy, of a login, or of works on the line: no text was taken."""
    with scripted(PAGE) as server:
        assert outcomes(server, 2) == [Paused("sms: 200 with a web page"), sent("sms-7")]
        assert len(server.texts) == 1
