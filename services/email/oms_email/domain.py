"""An email as it is on the wire (RFC 5322).

Nothing that comes from outside can add a header or end the mail early: control characters never get into a mail, and
what is not plain ASCII travels encoded.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.contentmanager import raw_data_manager
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import formataddr, formatdate, parseaddr

from oms_contracts.lines import one_line

_ADDRESS = re.compile(r'[^\s<>()\[\]\\,;:"@\x00-\x1f\x7f]{1,64}@[^\s<>()\[\]\\,;:"@\x00-\x1f\x7f]{1,253}')
_LINE_LIMIT = 900  # RFC 5322 allows 998
_HEADER_LIMIT = 76  # RFC 5322 wants lines of at most 78 characters; a colon and a space go in, too


@dataclass(frozen=True, slots=True)
class Mail:
    """One email. `sender` is what `sender` makes of a setting; `recipient` is an address."""

    sender: str
    recipient: str
    subject: str
    text: str
    order_id: str
    message_id: str


def address(text: str) -> str | None:
    """An address that can be in an SMTP command as it is; None if `text` is not one."""
    return text if _ADDRESS.fullmatch(text) and text.isprintable() else None


def sender(text: str) -> tuple[str, str]:
    """`Our shop <orders@example.com>` as a header's value, and its address; ValueError if there is none (in ASCII)."""
    name, found = parseaddr(text)
    if not (text.isprintable() and found.isascii() and address(found)):
        raise ValueError("must hold an email address, in ASCII")
    return formataddr((name, found)), found


def message_id(key: str, sender_address: str) -> str:
    """The same for every attempt to send the same notice, so that mail readers show it once."""
    return f"<{key}@{sender_address.rpartition('@')[2]}>"


def compose(mail: Mail, at: float) -> bytes:
    """The mail with CRLF line ends. `at` is in seconds since the epoch."""
    headers = {
        "From": mail.sender,
        "To": mail.recipient,
        "Subject": _plain(mail.subject),
        "Date": formatdate(at),
        "Message-ID": _plain(mail.message_id),
        "X-Order-Id": _plain(mail.order_id),
        "Auto-Submitted": "auto-generated",
    }
    text = "".join(f"{_plain(line)}\r\n" for line in mail.text.splitlines()) or "\r\n"
    if all(_is_everyday(name, value) for name, value in headers.items()):
        return _everyday(headers, text)
    return _thorough(headers, text)


def _is_everyday(name: str, value: str) -> bool:
    is_short = len(name) + len(value) <= _HEADER_LIMIT
    return is_short and value.isascii() and value != "" and value.strip() == value


def _everyday(headers: Mapping[str, str], text: str) -> bytes:
    """A mail whose headers need neither folding nor encoding, as `_thorough` writes it in twenty times the time."""
    body = text if _is_simple(text) else base64.encodebytes(text.encode()).decode().replace("\n", "\r\n")
    lines = [f"{name}: {value}" for name, value in headers.items()]
    lines += [
        'Content-Type: text/plain; charset="utf-8"',
        f"Content-Transfer-Encoding: {_encoding(text)}",
        "MIME-Version: 1.0",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode("ascii")


def _thorough(headers: Mapping[str, str], text: str) -> bytes:
    message = EmailMessage(policy=SMTP if headers["To"].isascii() else SMTPUTF8)
    for name, value in headers.items():
        message[name] = value
    message.set_content(text, cte=_encoding(text), content_manager=raw_data_manager)
    return message.as_bytes()


def _encoding(text: str) -> str:
    return "7bit" if _is_simple(text) else "base64"


def _plain(value: str) -> str:
    """On one line; a lone surrogate, which no encoding can carry, becomes a question mark."""
    return one_line(value).encode("utf-8", "replace").decode()


def _is_simple(text: str) -> bool:
    return text.isascii() and max(map(len, text.splitlines()), default=0) <= _LINE_LIMIT
