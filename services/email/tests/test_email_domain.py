"""An email as it is on the wire."""

from email import policy
from email.message import EmailMessage
from email.parser import BytesParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oms_email import domain
from oms_email.domain import Mail, address, compose, message_id, sender

AT = 1_780_000_000.0
HEADERS = {
    *("From", "To", "Subject", "Date", "Message-ID", "X-Order-Id", "Auto-Submitted"),
    *("MIME-Version", "Content-Type", "Content-Transfer-Encoding"),
}
HOSTILE = st.text(alphabet=st.one_of(st.characters(), st.sampled_from("\r\n\0:. \x85\u2028")), max_size=300)


def mail(**changes: str) -> Mail:
    fields = {
        "sender": "Shop <shop@example.com>",
        "recipient": "ann@example.com",
        "subject": "Your order",
        "text": "Hello\nAnn\n",
        "order_id": "o-1",
        "message_id": "<o-1.confirmed@example.com>",
    }
    return Mail(**{**fields, **changes})


def parsed(mail: Mail) -> EmailMessage:
    return BytesParser(EmailMessage, policy=policy.default).parsebytes(compose(mail, AT))


def test_a_mail_says_who_what_and_when() -> None:
    message = parsed(mail())
    assert message["From"] == "Shop <shop@example.com>"
    assert message["To"] == "ann@example.com"
    assert message["Subject"] == "Your order"
    assert message["Date"].datetime.timestamp() == AT
    assert message["Message-ID"] == "<o-1.confirmed@example.com>"
    assert message["X-Order-Id"] == "o-1"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content() == "Hello\r\nAnn\r\n"


def test_text_beyond_ascii_comes_through() -> None:
    message = parsed(mail(subject="Bestätigt ✓", text="Grüße, පෙරේරා, \u0dc1\u0dca\u200d\u0dbb\u0dd3\n"))
    assert message["Subject"] == "Bestätigt ✓"
    assert message.get_content() == "Grüße, පෙරේරා, \u0dc1\u0dca\u200d\u0dbb\u0dd3\r\n"


@given(text=st.text() | HOSTILE, subject=st.text(st.characters(codec="ascii"), max_size=100))
@example(text="From here\n.\n", subject="")
@example(text="", subject="x" * 67)
@example(text="x" * 5000 + "\n", subject="x" * 68)
def test_the_quick_way_writes_what_the_thorough_one_does(text: str, subject: str) -> None:
    one = mail(text=text, subject=subject)
    with pytest.MonkeyPatch.context() as patch:
        quick = compose(one, AT)
        patch.setattr(domain, "_everyday", domain._thorough)
        assert quick == compose(one, AT)


def test_very_long_lines_are_encoded() -> None:
    text = "x" * 5000 + "\n"
    assert parsed(mail(text=text)).get_content().replace("\r\n", "\n") == text


@given(subject=HOSTILE, text=HOSTILE, order_id=HOSTILE)
def test_nothing_from_outside_adds_a_header_or_breaks_a_line(subject: str, text: str, order_id: str) -> None:
    wire = compose(mail(subject=subject, text=text, order_id=order_id), AT)
    head, _, body = wire.partition(b"\r\n\r\n")
    names = [line.partition(b":")[0].decode() for line in head.split(b"\r\n") if not line.startswith(b" ")]
    assert set(names) == HEADERS
    assert len(names) == len(HEADERS)
    assert wire.isascii()
    assert b"\0" not in wire
    assert wire.replace(b"\r\n", b"").count(b"\n") == wire.replace(b"\r\n", b"").count(b"\r") == 0
    assert max(map(len, wire.split(b"\r\n"))) <= 998
    assert body.endswith(b"\r\n")


@given(HOSTILE)
def test_an_address_that_is_accepted_is_safe_in_a_command(text: str) -> None:
    taken = address(f"{text}@example.com")
    assert taken is None or (taken.isprintable() and not set(taken) & set(" <>\r\n"))


@pytest.mark.parametrize("text", ["ann@example.com", "a.b+c@sub.example.com", "o'neil@example.com", "zoë@example.com"])
def test_an_ordinary_address_is_accepted(text: str) -> None:
    assert address(text) == text


@pytest.mark.parametrize("text", ["", "ann", "@b.c", "ann@", "a b@c.d", "a@b@c", "a@b>\r\nRCPT TO:<x@y", "a@b\n"])
def test_what_is_no_address_is_not_taken(text: str) -> None:
    assert address(text) is None


def test_the_message_id_is_the_same_for_each_attempt() -> None:
    assert message_id("o-1.confirmed", "shop@example.com") == "<o-1.confirmed@example.com>"


def test_a_sender_may_have_a_name_in_any_script() -> None:
    assert sender("shop@example.com") == ("shop@example.com", "shop@example.com")
    header, found = sender("Käsehaus <shop@example.com>")
    assert found == "shop@example.com"
    assert parsed(mail(sender=header))["From"].addresses[0].display_name == "Käsehaus"


@pytest.mark.parametrize("text", ["", "Shop", "Shop <zoë@example.com>", "Shop\r\nBcc: x@y.z <shop@example.com>"])
def test_a_sender_without_a_usable_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must hold an email address"):
        sender(text)
