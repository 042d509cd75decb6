"""An email as it is on the wire."""

from email import policy
from email.contentmanager import raw_data_manager
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import formatdate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oms_contracts.lines import one_line
from oms_email.domain import Mail, address, compose, message_id, sender

AT = 1_780_000_000.0
HEADERS = {
    *("From", "To", "Subject", "Date", "Message-ID", "X-Order-Id", "Auto-Submitted"),
    *("MIME-Version", "Content-Type", "Content-Transfer-Encoding"),
}
HOSTILE = st.text(alphabet=st.one_of(st.characters(), st.sampled_from("\r\n\0:. \x85\u2028")), max_size=300)
LONG = f"@a-rather-long-name-of-a-host-{'a' * 40}.example.com"
# Each means something else once it is decoded, and some make Python's parser raise errors.
ENCODED = [
    f"=?utf-8?q?victim=40evil.example=2C_{'a' * 20}?=",
    "=?utf-8?q?=00?=aaa",
    "=?utf-8?q?=0D=0A?=aaa",
    "=?utf-8?q?=0D=0ABcc:_x=40y.z?=",
    "=?utf-8?q?=3E_Bcc=3A_x=40y.z?=aaa",
    "=?utf-8?q?=ff_?=aaa",
]


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


def thorough(mail: Mail) -> bytes:
    """The same mail as the library writes it."""
    message = EmailMessage(policy=policy.SMTP)
    message["From"], message["To"] = mail.sender, mail.recipient
    message["Subject"] = one_line(mail.subject).replace("=?", "= ?")
    message["Date"], message["Message-ID"] = formatdate(AT), mail.message_id
    message["X-Order-Id"], message["Auto-Submitted"] = mail.order_id, "auto-generated"
    text = "".join(f"{one_line(line)}\r\n" for line in mail.text.splitlines()) or "\r\n"
    is_simple = text.isascii() and max(map(len, text.splitlines())) <= 900
    message.set_content(text, cte="7bit" if is_simple else "base64", content_manager=raw_data_manager)
    return message.as_bytes()


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
    assert compose(one, AT) == thorough(one)


def test_very_long_lines_are_encoded() -> None:
    text = "x" * 5000 + "\n"
    assert parsed(mail(text=text)).get_content().replace("\r\n", "\n") == text


@given(subject=HOSTILE, text=HOSTILE, order_id=HOSTILE)
@example(subject=f"{ENCODED[3]} ü", text="", order_id=f"{ENCODED[3]}{'a' * 80}")
@example(subject=f"{ENCODED[1]} ü", text="", order_id=f"{ENCODED[1]}{'a' * 80}")
@example(subject=f"{ENCODED[5]} ü", text="", order_id=f"{ENCODED[5]}{'a' * 80}")
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


@pytest.mark.parametrize("text", ENCODED)
def test_what_looks_encoded_means_itself(text: str) -> None:
    for subject in (text, f"{text} ü", f"{text} {'a' * 80}"):
        found = parsed(mail(subject=subject))["Subject"]
        assert found.split() == subject.replace("=?", "= ?").split()


@pytest.mark.parametrize("text", ENCODED)
def test_an_address_is_written_as_it_is_whatever_a_parser_sees_in_it(text: str) -> None:
    for recipient in (f"{text}{LONG}", f"ü{text}{LONG}"):
        assert f"\r\nTo: {recipient}\r\n".encode() in compose(mail(recipient=recipient), AT)


@pytest.mark.parametrize("text", ENCODED)
def test_a_text_that_looks_encoded_is_not_an_address(text: str) -> None:
    assert address(f"{text}@example.com") is None
    assert address(f"{text}{LONG}") is None
    assert address(f"ann@{text}.example.com") is None


@given(HOSTILE)
def test_an_address_that_is_accepted_is_safe_in_a_command(text: str) -> None:
    taken = address(f"{text}@example.com")
    assert taken is None or (taken.isprintable() and not set(taken) & set(" <>\r\n"))


@pytest.mark.parametrize("text", ["ann@example.com", "a.b+c@sub.example.com", "o'neil@example.com", "zoë@example.com"])
def test_an_ordinary_address_is_accepted(text: str) -> None:
    assert address(text) == text


@pytest.mark.parametrize("text", ["", "ann", "@b.c", "ann@", "a b@c.d", "a@b@c", "a@b>\r\nRCPT TO:<x@y", "a@b\n"])
def test_a_text_that_is_not_an_address_is_refused(text: str) -> None:
    assert address(text) is None


def test_the_message_id_is_the_same_for_each_attempt() -> None:
    assert message_id("o-1.confirmed", "shop@example.com") == "<o-1.confirmed@example.com>"


def test_a_sender_may_have_a_name_in_any_script() -> None:
    assert sender("shop@example.com") == ("shop@example.com", "shop@example.com")
    header, found = sender("Käsehaus <shop@example.com>")
    assert found == "shop@example.com"
    assert parsed(mail(sender=header))["From"].addresses[0].display_name == "Käsehaus"


def test_a_sender_may_have_a_name_that_is_encoded() -> None:
    header, found = sender("=?utf-8?q?K=C3=A4sehaus=2C_Bern?= <shop@example.com>")
    assert found == "shop@example.com"
    assert [one.addr_spec for one in parsed(mail(sender=header))["From"].addresses] == ["shop@example.com"]


@pytest.mark.parametrize("text", ENCODED)
def test_a_sender_whose_name_means_something_else_once_decoded_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must hold an email address"):
        sender(f"Shop <{text}@example.com>")


@pytest.mark.parametrize("text", ["=?utf-8?q?=0D=0ABcc=3A_x=40y.z?=", "=?utf-8?q?=00?="])
def test_a_sender_whose_name_hides_a_line_s_end_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must hold an email address"):
        sender(f"{text} <shop@example.com>")


@pytest.mark.parametrize("text", ["", "Shop", "Shop <zoë@example.com>", "Shop\r\nBcc: x@y.z <shop@example.com>"])
def test_a_sender_without_a_usable_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must hold an email address"):
        sender(text)
