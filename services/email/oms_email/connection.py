"""A connection to the mail server: smtplib's, with TLS and login as set, and patience for one answer."""

import io
import smtplib
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from oms_email.settings import EmailSettings
from oms_notifications.answers import Answers, is_silent

ANSWER_LIMIT = 65_536  # bytes of an answer, however many lines
_END = b"\r\n.\r\n"


class NotOffered(smtplib.SMTPException):
    """The server lacks what the settings ask for. The text says what, and holds nothing of a customer's."""


class Connection(smtplib.SMTP):
    """Waits longer for the answer to a mail than for other answers (RFC 5321, 4.5.3.2.6), and for none without end.

    A server that has the whole mail may take minutes to look at it. To hang up meanwhile and send it again gives the
    customer one copy per attempt.
    """

    patience = 600.0
    in_doubt = False  # whether a mail went out whole, and was not answered
    _recipient = ""
    _ahead = 0  # commands that went out with the one before them

    def deliver(self, sender: str, recipient: str, mail: bytes, options: Sequence[str]) -> None:
        """Send a mail. What is no yes is raised, as sendmail does; the connection is of no more use then."""
        self._recipient, self._ahead = recipient, 0
        self.sendmail(sender, recipient, mail, options)

    # smtplib's own parse what is an address already, which takes longer than to compose the mail.
    def mail(self, sender: str, options: Sequence[str] = ()) -> tuple[int, bytes]:
        """Say who sends, and have the server's answer."""
        if "SMTPUTF8" in options:
            self.command_encoding = "utf-8"
        self.putcmd("mail", " ".join((f"FROM:<{sender}>", *options)))
        return _plain(*self.getreply())

    def rcpt(self, recip: str, options: Sequence[str] = ()) -> tuple[int, bytes]:
        """Say to whom, and have the server's answer."""
        self.putcmd("rcpt", " ".join((f"TO:<{recip}>", *options)))
        return _plain(*self.getreply())

    def putcmd(self, cmd: str, args: str = "") -> None:
        """Send a command. Where the server takes that, RCPT and DATA go out with MAIL (RFC 2920): two waits less.

        If MAIL or RCPT is refused, nothing follows: a server that has said yes to DATA all the same gets no mail.
        """
        if self._ahead:
            self._ahead -= 1
            return
        if cmd == "mail" and self.has_extn("pipelining"):
            args, self._ahead = f"{args}\r\nrcpt TO:<{self._recipient}>\r\ndata", 2
            self.send(f"{cmd} {args}\r\n".encode(self.command_encoding))
        else:
            super().putcmd(cmd, args)

    def data(self, msg: Any) -> tuple[int, bytes]:
        """Send the mail; the server's answer to it."""
        code, text = super().data(msg)
        # What is no answer (garbage, or half of one) is none: the server has the mail, and may have sent it on.
        self.in_doubt = self.in_doubt and not (_is_yes(code) or 400 <= code < 600)
        return _plain(code, text)

    def send(self, s: Any) -> None:
        """Send a command, or the mail with the dot that ends it."""
        if self.sock is not None:
            self.sock.settimeout(self.timeout)
        super().send(s)
        if isinstance(s, bytes) and s.endswith(_END):
            self.in_doubt = True

    def getreply(self) -> tuple[int, bytes]:
        """The server's answer. Raises SMTPServerDisconnected if it is not there in whole in time, or is without end:
        smtplib keeps all its lines."""
        if self.file is None and self.sock is not None:
            self._answers = Answers(self.sock)
            self.file = io.BufferedReader(self._answers)
        self._answers.room = ANSWER_LIMIT
        self._answers.deadline = time.monotonic() + (self.patience if self.in_doubt else self.timeout)
        return super().getreply()


def _is_yes(code: int) -> bool:
    return 200 <= code < 300


def _plain(code: int, text: bytes) -> tuple[int, bytes]:
    """A reply, of which any yes is the one that smtplib knows: the first digit decides (RFC 5321, 4.2)."""
    return (250, text) if _is_yes(code) else (code, text)


class TlsConnection(Connection, smtplib.SMTP_SSL):
    """Encrypted from its first byte (RFC 8314)."""


def encryption(settings: EmailSettings) -> ssl.SSLContext | None:
    """How to know the server by its certificate; None where nothing is encrypted."""
    if not settings.is_encrypted:
        return None
    return ssl.create_default_context(cafile=settings.smtp_ca_file)


def connect(settings: EmailSettings, name: str, tls: ssl.SSLContext | None) -> Connection:
    """A connection that is ready for a mail, made by a client of this name. Raises OSError, as smtplib's errors are."""
    host, port, timeout = settings.smtp_host, settings.smtp_port, settings.smtp_timeout
    implicit = settings.smtp_implicit_tls
    smtp = (
        TlsConnection(host, port, name, timeout=timeout, context=tls)
        if implicit
        else Connection(host, port, name, timeout)
    )
    try:
        smtp.patience = settings.smtp_mail_timeout
        smtp.ehlo_or_helo_if_needed()
        if tls is not None and not implicit:
            _demand(smtp, "starttls")
            smtp.starttls(context=tls)
            smtp.ehlo()
        if settings.smtp_username and settings.smtp_password:
            _demand(smtp, "auth")
            smtp.login(settings.smtp_username, settings.smtp_password.get_secret_value())
    except BaseException:
        smtp.close()
        raise
    return smtp


def _demand(smtp: smtplib.SMTP, extension: str) -> None:
    if not smtp.has_extn(extension):
        raise NotOffered(f"no {extension.upper()} offered")


def is_open(smtp: smtplib.SMTP) -> bool:
    """Whether a kept connection is still one as far as it is known here: a server may hang up after each mail."""
    return smtp.sock is not None and is_silent(smtp.sock)


def answers(smtp: smtplib.SMTP) -> bool:
    """Whether its server still answers: it may have been restarted meanwhile."""
    try:
        return smtp.noop()[0] == 250
    except OSError:
        return False


def hang_up(smtp: smtplib.SMTP) -> None:
    """Say goodbye without waiting for the answer: the server may be what is broken."""
    with suppress(OSError):
        smtp.send(b"QUIT\r\n")
    smtp.close()


def interrupt(smtp: smtplib.SMTP) -> None:
    """End a wait for an answer that another thread is in."""
    with suppress(OSError):
        if smtp.sock is not None:
            socket.socket.shutdown(smtp.sock, socket.SHUT_RDWR)  # not TLS's own, which would change what is being read
