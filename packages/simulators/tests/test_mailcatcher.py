"""The mail catcher, as a process, spoken to by real SMTP and real HTTP."""

import mailbox
import resource
import signal
import smtplib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from support.notices import RunningMailCatcher, running_mail_catcher

from oms_servers.testing import free_port

TEXT = {"to": "+94762222222", "from": "OMS", "text": "Your order is confirmed", "reference": "o-1"}


@pytest.fixture(scope="module")
def catcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMailCatcher]:
    with running_mail_catcher(tmp_path_factory.mktemp("mailcatcher"), free_port(), free_port()) as running:
        yield running


@pytest.fixture
def order_id() -> str:
    return str(uuid4())


def mail(order_id: str, message_id: str = "", text: str = "Hello\n") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "shop@example.com", "ann@example.com", "Your order"
    message["X-Order-Id"] = order_id
    message["Message-ID"] = message_id or f"<{order_id}@example.com>"
    message.set_content(text)
    return message


def send(catcher: RunningMailCatcher, *mails: EmailMessage) -> None:
    with smtplib.SMTP("127.0.0.1", catcher.smtp_port, "test", 30) as smtp:
        for message in mails:
            smtp.sendmail(message["From"], message["To"], message.as_bytes(policy=SMTP))


def post(catcher: RunningMailCatcher, key: str = "k-1", /, **changes: Any) -> httpx2.Response:
    return httpx2.post(f"{catcher.url}/sms", json={**TEXT, **changes}, headers={"Idempotency-Key": key}, timeout=30)


def test_a_mail_can_be_read_by_its_order(catcher: RunningMailCatcher, order_id: str) -> None:
    send(catcher, mail("other"), mail(order_id, text="Grüße\n"))
    (found,) = catcher.messages(orderId=order_id)
    assert found.pop("receivedAt").endswith("+00:00")
    assert found == {
        "orderId": order_id,
        "kind": "email",
        "to": "ann@example.com",
        "subject": "Your order",
        "text": "Grüße\n",
        "messageId": f"<{order_id}@example.com>",
    }


def test_a_mail_that_comes_twice_is_shown_once_and_counted_twice(catcher: RunningMailCatcher, order_id: str) -> None:
    before = catcher.counts()
    send(catcher, mail(order_id), mail(order_id))
    assert len(catcher.messages(orderId=order_id)) == 1
    after = catcher.counts()
    assert {name: after[name] - before[name] for name in after} == {"email": 1, "sms": 0, "emailDeliveries": 2}


def send_raw(catcher: RunningMailCatcher, to: str, *lines: str) -> None:
    with smtplib.SMTP("127.0.0.1", catcher.smtp_port, "test", 30) as smtp:
        smtp.sendmail("shop@example.com", to, "\r\n".join(lines))


def test_headers_are_found_in_any_case_and_folded_and_not_in_the_text(
    catcher: RunningMailCatcher, order_id: str
) -> None:
    text = ("", "X-Order-Id: of the text", "Message-ID: <of-the-text@example.com>")
    send_raw(catcher, "ann@example.com", f"x-order-ID:  {order_id}", "message-id:", f" <{order_id}@example.com>", *text)
    assert [found["messageId"] for found in catcher.messages(orderId=order_id)] == [f"<{order_id}@example.com>"]
    assert catcher.messages(orderId="of the text") == []


def test_replies_to_commands_that_came_together_go_out_together(catcher: RunningMailCatcher, order_id: str) -> None:
    """Each by itself would wake the client once more (RFC 2920, 3.2)."""
    commands = [f"MAIL FROM:<shop@example.com>\r\nRCPT TO:<{order_id}@example.com>\r\n", "RSET\r\nNOOP\r\n"]
    with smtplib.SMTP("127.0.0.1", catcher.smtp_port, "test", 30) as smtp:
        smtp.ehlo()
        sock = smtp.sock
        assert sock is not None
        for _ in range(10):
            for pair in commands:
                sock.sendall(pair.encode())
                assert sock.recv(65536).count(b"\r\n") == 2


@pytest.mark.parametrize("to", ['"an n"@example.com', "ann+1@[192.0.2.1]", "a@example.com"])
def test_a_mail_to_an_address_of_any_form_is_taken(catcher: RunningMailCatcher, order_id: str, to: str) -> None:
    send_raw(catcher, to, f"X-Order-Id: {order_id}", f"Message-ID: <{order_id}@example.com>", f"To: {to}", "", "Hello")
    assert [found["text"] for found in catcher.messages(orderId=order_id)] == ["Hello\n"]


def test_lines_that_look_like_the_end_of_a_mail_come_through(catcher: RunningMailCatcher, order_id: str) -> None:
    text = "From here\n>From there\n.\n..\n.hidden\nthe end\n"
    send(catcher, mail(order_id, text=text), mail(f"{order_id}-next"))
    assert [found["text"] for found in catcher.messages(kind="email")[-2:]] == [text, "Hello\n"]


def test_a_text_is_stored_once_per_key(catcher: RunningMailCatcher, order_id: str) -> None:
    first, again = post(catcher, order_id, reference=order_id), post(catcher, order_id, reference="another")
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert first.status_code == 201
    (found,) = catcher.messages(kind="sms", orderId=order_id)
    assert (found["to"], found["text"], found["messageId"]) == ("+94762222222", "Your order is confirmed", order_id)


@pytest.mark.parametrize("field", ["to", "from", "text", "reference"])
def test_a_text_with_a_wrong_field_is_refused_by_name_without_its_value(
    catcher: RunningMailCatcher, field: str
) -> None:
    before = catcher.counts()
    answer = post(catcher, "never-stored", **{field: {"secret": 1}})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert "secret" not in answer.text
    assert catcher.counts() == before


def test_a_text_without_a_key_or_a_body_is_refused(catcher: RunningMailCatcher) -> None:
    url, headers = f"{catcher.url}/sms", {"Idempotency-Key": "k"}
    assert httpx2.post(url, json=TEXT).status_code == 400
    assert httpx2.post(url, json=TEXT, headers={"Idempotency-Key": "k" * 201}).status_code == 400
    assert httpx2.post(url, content=b"{", headers=headers).status_code == 422
    assert httpx2.post(url, content=b"x" * 70_000, headers=headers).status_code == 413


def test_messages_are_filtered_and_limited_to_the_newest(catcher: RunningMailCatcher, order_id: str) -> None:
    send(catcher, *(mail(f"{order_id}-{number}") for number in range(5)))
    post(catcher, order_id, reference=f"{order_id}-1")
    assert [one["orderId"] for one in catcher.messages(kind="email", limit=2)] == [f"{order_id}-3", f"{order_id}-4"]
    assert [one["kind"] for one in catcher.messages(orderId=f"{order_id}-1")] == ["email", "sms"]
    assert catcher.messages(orderId="nobody's") == []
    assert httpx2.get(f"{catcher.url}/messages", params={"kind": "letter"}).status_code == 422
    assert httpx2.get(f"{catcher.url}/messages", params={"limit": 0}).status_code == 422


def test_it_stops_cleanly_and_what_it_had_is_there_after_a_restart(tmp_path: Path) -> None:
    folder, smtp_port, http_port = tmp_path / "catcher", free_port(), free_port()
    with running_mail_catcher(folder, smtp_port, http_port) as catcher:
        send(catcher, mail("o-1"), mail("o-2"))
        post(catcher)
        before = catcher.messages()
        catcher.process.send_signal(signal.SIGTERM)
        assert catcher.process.wait(10) == 0
    with running_mail_catcher(folder, smtp_port, http_port) as catcher:
        assert catcher.messages() == before
        post(catcher)
        send(catcher, mail("o-2"), mail("o-3"))
        assert catcher.counts() == {"email": 3, "sms": 1, "emailDeliveries": 4}
    with closing(mailbox.mbox(folder / "mail.mbox")) as kept:
        assert [one["X-Order-Id"] for one in kept] == ["o-1", "o-2", "o-2", "o-3"]


@pytest.mark.parametrize("torn", [-1, -60, 60, 5])
def test_what_was_acknowledged_survives_a_kill_and_what_is_torn_is_left_out(tmp_path: Path, torn: int) -> None:
    folder, smtp_port, http_port = tmp_path / "catcher", free_port(), free_port()
    with running_mail_catcher(folder, smtp_port, http_port) as catcher:
        send(catcher, mail("o-1"))
        post(catcher)
        catcher.process.kill()
        catcher.process.wait()
    whole = (folder / "sms.jsonl").read_bytes()
    (folder / "sms.jsonl").write_bytes(whole + whole[:-5])
    mails = (folder / "mail.mbox").read_bytes()
    (folder / "mail.mbox").write_bytes(mails + mails[:torn])
    with running_mail_catcher(folder, smtp_port, http_port) as catcher:
        assert catcher.counts() == {"email": 1, "sms": 1, "emailDeliveries": 1}
        send(catcher, mail("o-2"))
        assert [one["orderId"] for one in catcher.messages(kind="email")] == ["o-1", "o-2"]


def test_a_full_disk_is_a_temporary_failure_and_nothing_is_half_kept(tmp_path: Path) -> None:
    folder, smtp_port, http_port = tmp_path / "catcher", free_port(), free_port()
    with running_mail_catcher(folder, smtp_port, http_port) as catcher:
        send(catcher, mail("o-1"))
        assert post(catcher).status_code == 201
        with file_size_limit(catcher.process.pid, (folder / "sms.jsonl").stat().st_size + 20):
            assert post(catcher, "k-2").status_code == 503
            with pytest.raises(smtplib.SMTPDataError, match="452"):
                send(catcher, mail("o-2"))
        send(catcher, mail("o-2"))
        assert post(catcher, "k-2").status_code == 201
    with running_mail_catcher(folder, smtp_port, http_port) as catcher:
        assert catcher.counts() == {"email": 2, "sms": 2, "emailDeliveries": 2}


@contextmanager
def file_size_limit(pid: int, limit: int) -> Iterator[None]:
    """For a block, a process can make no file longer than so many bytes: what a full disk is like."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("wrong", "field", "why"),
    [
        ({"target": "post"}, "target", "'mail' or 'sms'"),
        ({"target": "gateway"}, "target", "mail and sms"),
        ({"kind": "nothing"}, "kind", "greylist"),
        ({"times": 0}, "times", "greater than"),
    ],
)
def test_a_failure_that_there_is_not_is_refused_by_its_field(
    catcher: RunningMailCatcher, wrong: dict[str, Any], field: str, why: str
) -> None:
    answer = httpx2.put(f"{catcher.url}/failures", json={"target": "mail", "kind": "drop", **wrong}, timeout=30)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert why in error["message"]
