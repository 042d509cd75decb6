"""The inbox's side of SMTP, command by command."""

import asyncio
from itertools import pairwise
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_notifications.inbox.smtp import LINE_LIMIT, SIZE_LIMIT, SmtpSession

ENVELOPE = b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"


class Wire:
    """The transport, as far as a session uses it."""

    def __init__(self) -> None:
        self.written = b""
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.is_closed = True


class Talk:
    """A session, what it answers, and the mails that it delivers. `disk` says whether they can be kept."""

    def __init__(self, disk: BaseException | None = None) -> None:
        self.mails: list[bytes] = []
        self.wire = Wire()
        self._disk = disk
        self._loop = asyncio.new_event_loop()
        self.session = SmtpSession(self._deliver)
        self.session.connection_made(cast("asyncio.BaseTransport", self.wire))

    def say(self, *chunks: bytes) -> list[str]:
        """The codes of what was answered to chunks that arrive one by one."""
        self.wire.written = b""
        for chunk in chunks:
            self.session.data_received(chunk)
            self._loop.run_until_complete(asyncio.sleep(0))
        return [line[:3].decode() for line in self.wire.written.splitlines() if line[3:4] == b" "]

    def end(self) -> None:
        self._loop.close()

    def _deliver(self, mail: bytes) -> "asyncio.Future[None]":
        future: asyncio.Future[None] = self._loop.create_future()
        if self._disk is None:
            self.mails.append(mail)
            future.set_result(None)
        else:
            future.set_exception(self._disk)
        return future


@pytest.fixture
def talk():  # type: ignore[no-untyped-def] # noqa: ANN201
    talk = Talk()
    yield talk
    talk.end()


def test_it_greets_first(talk: Talk) -> None:
    assert talk.wire.written.startswith(b"220 ")


def test_a_client_that_sends_all_at_once_is_understood(talk: Talk) -> None:
    assert talk.say(b"EHLO x\r\n" + ENVELOPE + b"one\r\n.\r\n" + ENVELOPE + b"two\r\n.\r\nQUIT\r\n") == [
        *("250", "250", "250", "354", "250"),
        *("250", "250", "354", "250", "221"),
    ]
    assert talk.mails == [b"one\r\n", b"two\r\n"]
    assert talk.wire.is_closed


@given(cuts=st.lists(st.integers(0, 200)), text=st.text(alphabet=".a\r\n", max_size=30))
def test_it_does_not_matter_how_the_bytes_are_cut(cuts: list[int], text: str) -> None:
    body = "".join(f"{line}\r\n" for line in text.split("\r\n")).encode()
    stuffed = body.replace(b"\r\n.", b"\r\n..")
    stuffed = b"." + stuffed if stuffed.startswith(b".") else stuffed
    said = ENVELOPE + stuffed + b".\r\n"
    talk = Talk()
    places = sorted({0, len(said), *(cut for cut in cuts if cut < len(said))})
    codes = talk.say(*(said[start:end] for start, end in pairwise(places)))
    talk.end()
    assert codes == ["250", "250", "354", "250"]
    assert talk.mails == [body]


def test_an_empty_mail_is_a_mail(talk: Talk) -> None:
    assert talk.say(ENVELOPE, b".\r\n")[-1] == "250"
    assert talk.mails == [b""]


def test_commands_out_of_order_are_refused(talk: Talk) -> None:
    assert talk.say(b"RCPT TO:<c@d>\r\n", b"DATA\r\n", b"WHAT\r\n", b"MAIL\r\n") == ["503", "503", "500", "500"]
    assert talk.say(b"HELO x\r\nMAIL FROM:<a@b>\r\nRSET\r\nRCPT TO:<c@d>\r\nNOOP\r\n")[-2:] == ["503", "250"]


def test_a_disk_that_refuses_is_a_temporary_failure() -> None:
    talk = Talk(OSError("full"))
    assert talk.say(ENVELOPE, b"one\r\n.\r\n") == ["250", "250", "354", "452"]
    talk.end()


def test_what_has_no_end_is_cut_off(talk: Talk) -> None:
    assert talk.say(b"x" * (LINE_LIMIT + 1)) == ["500"]
    assert talk.wire.is_closed
    other = Talk()
    assert other.say(ENVELOPE, b"x" * (SIZE_LIMIT + 1))[-1] == "552"
    other.end()


def test_a_client_that_hangs_up_while_its_mail_is_written_gets_no_answer(talk: Talk) -> None:
    talk.session.data_received(ENVELOPE + b"one\r\n.\r\n")
    talk.wire.written = b""
    talk.session.connection_lost(None)
    assert talk.say(b"") == []
    assert talk.mails == [b"one\r\n"]
