"""An email as it is on the wire (RFC 5322).

No text from outside can add a header or end the mail early: control characters never get into a mail, anything but
plain ASCII is encoded, and only what was encoded here is decoded by its reader (RFC 2047).
"""

import base64
import re
from dataclasses import dataclass
from email.policy import SMTP, SMTPUTF8, EmailPolicy
from email.utils import formataddr, formatdate, parseaddr
from typing import Any

from oms_contracts.lines import one_line

_ADDRESS = re.compile(r'[^\s<>()\[\]\\,;:"@\x00-\x1f\x7f]{1,64}@[^\s<>()\[\]\\,;:"@\x00-\x1f\x7f]{1,253}')
_ENCODED = "=?"  # begins an encoded word in a header (RFC 2047), which Python's parser decodes in addresses, too
_LINE_LIMIT = 900  # RFC 5322 allows 998
_HEADER_LIMIT = 76  # RFC 5322 wants lines of at most 78 characters; a colon and a space go in, too


@dataclass(frozen=True, slots=True)
class Mail:
    """One email. `sender` is a header's value, as the function `sender` returns it; `recipient` is an address."""

    sender: str
    recipient: str
    subject: str
    text: str
    order_id: str
    message_id: str


def address(text: str) -> str | None:
    """Return an address that can be in an SMTP command as it is; None if `text` is not one."""
    is_one = _ADDRESS.fullmatch(text) and text.isprintable() and _ENCODED not in text
    return text if is_one else None


def sender(text: str) -> tuple[str, str]:
    """Return `Our shop <orders@example.com>` as a header's value, and the address in it. Raises ValueError if there is
    no address in ASCII."""
    name, found = parseaddr(text)
    if not (text.isprintable() and found.isascii() and address(found)):
        raise ValueError("must hold an email address, in ASCII")
    value = formataddr((name, found))
    if not _says(value, found):
        raise ValueError("must hold an email address, in ASCII, and nothing encoded that does not belong into a name")
    return value, found


def _says(value: str, found: str) -> bool:
    """Whether a mail's readers find only this address in the header, even if its name contains encoded text."""
    try:
        header: Any = SMTP.header_store_parse("From", value)[1]
        SMTP.fold_binary("From", header)
    except Exception:  # noqa: BLE001 - the parser raises IndexError and others of what it does not expect
        return False
    return [one.addr_spec for one in header.addresses] == [found] and str(header).isprintable()


def message_id(key: str, sender_address: str) -> str:
    """Return the Message-ID. It is the same for every attempt to send a notice, so that mail readers show it once."""
    return f"<{key}@{sender_address.rpartition('@')[2]}>"


def compose(mail: Mail, at: float) -> bytes:
    """Return the mail with CRLF line ends. `at` is in seconds since the epoch."""
    headers = {
        "From": mail.sender,
        "To": mail.recipient,
        "Subject": _headline(mail.subject),
        "Date": formatdate(at),
        "Message-ID": _headline(mail.message_id),
        "X-Order-Id": _headline(mail.order_id),
        "Auto-Submitted": "auto-generated",
    }
    text = "".join(f"{_plain(line)}\r\n" for line in mail.text.splitlines()) or "\r\n"
    policy = SMTP if mail.recipient.isascii() else SMTPUTF8
    return b"".join(_header(name, value, policy) for name, value in headers.items()) + _content(text)


def _header(name: str, value: str, policy: "EmailPolicy[Any]") -> bytes:
    if name == "To" or _is_everyday(name, value):  # an address is written as it is
        return f"{name}: {value}\r\n".encode()
    return policy.fold_binary(name, policy.header_store_parse(name, value)[1])


def _is_everyday(name: str, value: str) -> bool:
    """Whether a header needs neither folding nor encoding, which take twenty times the time."""
    is_short = len(name) + len(value) <= _HEADER_LIMIT
    return is_short and value.isascii() and value != "" and value.strip() == value


def _content(text: str) -> bytes:
    body = text if _is_simple(text) else base64.encodebytes(text.encode()).decode().replace("\n", "\r\n")
    lines = [
        'Content-Type: text/plain; charset="utf-8"',
        f"Content-Transfer-Encoding: {_encoding(text)}",
        "MIME-Version: 1.0",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode("ascii")


def _encoding(text: str) -> str:
    return "7bit" if _is_simple(text) else "base64"


def _plain(value: str) -> str:
    """Return a text on one line. A lone surrogate, which no encoding can represent, becomes a question mark."""
    return one_line(value).encode("utf-8", "replace").decode()


def _headline(value: str) -> str:
    """Return a text for a header. What looks like an encoded word is split, or it would be decoded, with any line ends
    in it."""
    return _plain(value).replace(_ENCODED, "= ?")


def _is_simple(text: str) -> bool:
    return text.isascii() and max(map(len, text.splitlines()), default=0) <= _LINE_LIMIT
