"""A connection to the mail server: smtplib's, with TLS and login as configured, and a longer timeout for one answer."""

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
    """The server lacks what the settings require. The text says what, and contains no data of a customer."""


class Connection(smtplib.SMTP):
    """Waits longer for the answer to a mail than for other answers (RFC 5321, 4.5.3.2.6), but never without a limit.

    A server that has the whole mail may take minutes to check it. Hanging up in the meantime and sending it again would
    give the customer one copy per attempt.
    """

    patience = 600.0
    in_doubt = False  # whether a mail was sent completely, but not answered
    _recipient = ""
    _ahead = 0  # commands that were sent together with the one before them

    def deliver(self, sender: str, recipient: str, mail: bytes, options: Sequence[str]) -> None:
        """Send a mail. Raises the same errors as sendmail; then the connection cannot be used any more."""
        self._recipient, self._ahead = recipient, 0
        self.sendmail(sender, recipient, mail, options)

    # smtplib's own methods parse what is already an address, which takes longer than composing the mail.
    def mail(self, sender: str, options: Sequence[str] = ()) -> tuple[int, bytes]:
        """Name the sender, and return the server's answer."""
        if "SMTPUTF8" in options:
            self.command_encoding = "utf-8"
        self.putcmd("mail", " ".join((f"FROM:<{sender}>", *options)))
        return _plain(*self.getreply())

    def rcpt(self, recip: str, options: Sequence[str] = ()) -> tuple[int, bytes]:
        """Name the recipient, and return the server's answer."""
        self.putcmd("rcpt", " ".join((f"TO:<{recip}>", *options)))
        return _plain(*self.getreply())

    def putcmd(self, cmd: str, args: str = "") -> None:
        """Send a command. If the server supports it, RCPT and DATA are sent together with MAIL (RFC 2920), which saves
        two round trips.

        If MAIL or RCPT is refused, nothing follows: a server that accepts DATA nevertheless gets no mail.
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
        """Send the mail, and return the server's answer to it."""
        code, text = super().data(msg)
        # Garbage, or a part of an answer, is no answer: the server has the mail, and may have passed it on.
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
        """Return the server's answer. Raises SMTPServerDisconnected if it is not complete in time, or longer than
        ANSWER_LIMIT: smtplib keeps all its lines in memory."""
        if self.file is None and self.sock is not None:
            self._answers = Answers(self.sock)
            self.file = io.BufferedReader(self._answers)
        self._answers.room = ANSWER_LIMIT
        self._answers.deadline = time.monotonic() + (self.patience if self.in_doubt else self.timeout)
        return super().getreply()


def _is_yes(code: int) -> bool:
    return 200 <= code < 300


def _plain(code: int, text: bytes) -> tuple[int, bytes]:
    """Return a reply with any positive code replaced by 250, the only one that smtplib accepts: the first digit decides
    (RFC 5321, 4.2)."""
    return (250, text) if _is_yes(code) else (code, text)


class TlsConnection(Connection, smtplib.SMTP_SSL):
    """A connection that is encrypted from its first byte (RFC 8314)."""


def encryption(settings: EmailSettings) -> ssl.SSLContext | None:
    """Return the TLS context that verifies the server's certificate; None without encryption."""
    if not settings.is_encrypted:
        return None
    return ssl.create_default_context(cafile=settings.smtp_ca_file)


def connect(settings: EmailSettings, name: str, tls: ssl.SSLContext | None) -> Connection:
    """Return a connection that is ready for a mail. `name` is the client's, for EHLO. Raises OSError, which includes
    smtplib's errors."""
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
    """Whether a kept connection is still open, as far as this side knows: a server may hang up after each mail."""
    return smtp.sock is not None and is_silent(smtp.sock)


def answers(smtp: smtplib.SMTP) -> bool:
    """Whether the server still answers: it may have been restarted in the meantime."""
    try:
        return smtp.noop()[0] == 250
    except OSError:
        return False


def hang_up(smtp: smtplib.SMTP) -> None:
    """Send QUIT without waiting for the answer: the server may be broken."""
    with suppress(OSError):
        smtp.send(b"QUIT\r\n")
    smtp.close()


def interrupt(smtp: smtplib.SMTP) -> None:
    """Interrupt another thread that waits for an answer on this connection."""
    with suppress(OSError):
        if smtp.sock is not None:
            socket.socket.shutdown(smtp.sock, socket.SHUT_RDWR)  # not TLS's own, which would change what is being read
