"""One mail over one SMTP connection (RFC 5321), with as few turns of the line as the server allows (RFC 2920)."""

import smtplib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from oms_notifications.pool import Stale

_GOING = 421  # the server is about to hang up
_GO_ON = 354


@dataclass(frozen=True, slots=True)
class Answer:
    """The server's last word, and what it was about."""

    about: Literal["sender", "recipient", "mail"]
    code: int

    @property
    def is_yes(self) -> bool:
        return 200 <= self.code < 300


def transact(smtp: smtplib.SMTP, sender: str, recipient: str, mail: bytes, *, utf8: bool) -> Answer:
    """Hand over a mail. Stale if the connection was gone before the mail's first byte; any other OSError leaves open
    whether the server took it."""
    codes = _envelope(smtp, (f"MAIL FROM:<{sender}>{' SMTPUTF8' * utf8}", f"RCPT TO:<{recipient}>", "DATA"))
    refusal = _refusal(codes)
    if refusal is None:
        smtp.send(_stuffed(mail))
        return Answer("mail", smtp.getreply()[0])
    if codes[-1] == _GO_ON:
        smtp.close()  # it waits for a mail that has no recipient: the pool's next use finds a stale connection
    else:
        smtp.rset()
    return refusal


def _envelope(smtp: smtplib.SMTP, commands: Sequence[str]) -> list[int]:
    """The codes of the answers; up to the first refusal where the server wants one command at a time."""
    try:
        codes = _at_once(smtp, commands) if smtp.has_extn("pipelining") else _one_by_one(smtp, commands)
    except (smtplib.SMTPServerDisconnected, ConnectionError) as error:
        raise Stale("the mail server hung up") from error
    if _GOING in codes:
        raise Stale("the mail server is going")
    return codes


def _at_once(smtp: smtplib.SMTP, commands: Sequence[str]) -> list[int]:
    smtp.send("".join(f"{command}\r\n" for command in commands).encode())
    return [smtp.getreply()[0] for _ in commands]


def _one_by_one(smtp: smtplib.SMTP, commands: Sequence[str]) -> list[int]:
    codes: list[int] = []
    for command in commands:
        smtp.send(f"{command}\r\n".encode())
        codes.append(smtp.getreply()[0])
        if codes[-1] >= 400:
            break
    return codes


def _refusal(codes: Sequence[int]) -> Answer | None:
    sender, recipient, data = [*codes, 0, 0][:3]
    if not 200 <= sender < 300:
        return Answer("sender", sender)
    if not 200 <= recipient < 300:
        return Answer("recipient", recipient)
    return None if data == _GO_ON else Answer("mail", data)


def _stuffed(mail: bytes) -> bytes:
    """With each dot that begins a line doubled, and the dot that ends the mail."""
    body = mail.replace(b"\r\n.", b"\r\n..")
    return (b"." if body.startswith(b".") else b"") + body + b".\r\n"
