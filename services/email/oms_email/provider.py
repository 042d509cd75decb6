"""The way to customers by SMTP: smtplib, over connections that stay open."""

import smtplib
import ssl
import time
from contextlib import suppress
from queue import Empty, LifoQueue

from oms_chassis.jobs import Outcome, Retry
from oms_email import domain
from oms_email.domain import Mail
from oms_email.settings import EmailSettings
from oms_notifications.delivery import Notice, refused, sent

TRUSTED = 1.0  # seconds within which an unused connection need not be asked whether it still is one
IDLE = 30.0  # seconds after which an unused connection is not trusted any more: servers hang up on the silent
_LOGIN = {530, 534, 535, 538}  # the server wants a login, or another one


class SmtpProvider:
    """Sends by a mail server. Whether a mail was taken when a connection broke cannot be asked: it is sent again with
    the same Message-ID, by which mail readers show it once."""

    def __init__(self, settings: EmailSettings) -> None:
        self._settings = settings
        self._sender, self._from = domain.sender(settings.email_from)
        self._tls = ssl.create_default_context() if settings.smtp_starttls else None
        self._idle: LifoQueue[tuple[smtplib.SMTP, float]] = LifoQueue()

    def send(self, notice: Notice) -> Outcome:
        """Send one email."""
        recipient = domain.address(notice.to)
        if recipient is None:
            return refused("no address that mail can be sent to")
        message_id = domain.message_id(notice.key, self._from)
        mail = domain.compose(
            Mail(self._sender, recipient, notice.subject, notice.text, notice.order_id, message_id), time.time()
        )
        try:
            smtp = self._take() or self._connect()
            self._deliver(smtp, recipient, mail)
        except OSError as error:  # smtplib's errors are OSErrors, too
            return _outcome(error, recipient)
        return sent(message_id)

    def close(self) -> None:
        """Close the connections."""
        with suppress(Empty):
            while True:
                _hang_up(self._idle.get_nowait()[0])

    def _deliver(self, smtp: smtplib.SMTP, recipient: str, mail: bytes) -> None:
        options = [] if recipient.isascii() else ["SMTPUTF8"]
        try:
            smtp.sendmail(self._from, recipient, mail, options)
        except BaseException:
            _hang_up(smtp)
            raise
        self._idle.put((smtp, time.monotonic()))

    def _take(self) -> smtplib.SMTP | None:
        """The connection that was used last, if its server still answers."""
        while True:
            try:
                smtp, since = self._idle.get_nowait()
            except Empty:
                return None
            unused = time.monotonic() - since
            if unused < TRUSTED or (unused < IDLE and _answers(smtp)):
                return smtp
            _hang_up(smtp)

    def _connect(self) -> smtplib.SMTP:
        settings = self._settings
        # Its own name is the sender's domain: to look up this machine's may take seconds, and means nothing outside.
        name = self._from.rpartition("@")[2]
        smtp = smtplib.SMTP(settings.smtp_host, settings.smtp_port, name, settings.smtp_timeout)
        try:
            smtp.ehlo_or_helo_if_needed()
            if self._tls is not None:
                smtp.starttls(context=self._tls)
                smtp.ehlo()
            if settings.smtp_username and settings.smtp_password:
                smtp.login(settings.smtp_username, settings.smtp_password.get_secret_value())
        except BaseException:
            smtp.close()
            raise
        return smtp


def _outcome(error: OSError, recipient: str) -> Outcome:
    """A permanent no about the recipient or the mail is final. All else may be mended: so may a no about the sender or
    the login, which are settings."""
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return refused("the mail server takes no address beyond ASCII")
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return _answered(error.recipients[recipient][0], "recipient")
    if isinstance(error, smtplib.SMTPDataError):
        return _answered(error.smtp_code, "mail")
    if isinstance(error, smtplib.SMTPSenderRefused):
        return Retry(f"smtp: {error.smtp_code} about the sender")
    return Retry(f"smtp: {type(error).__name__}")


def _answered(code: int, about: str) -> Outcome:
    reason = f"smtp: {code} about the {about}"
    return refused(reason) if code >= 500 and code not in _LOGIN else Retry(reason)


def _answers(smtp: smtplib.SMTP) -> bool:
    """Whether a kept connection is still one: a server may have been restarted meanwhile."""
    try:
        return smtp.noop()[0] == 250
    except OSError:
        return False


def _hang_up(smtp: smtplib.SMTP) -> None:
    """Say goodbye without waiting for the answer: the server may be what is broken."""
    with suppress(OSError):
        smtp.send(b"QUIT\r\n")
    smtp.close()
