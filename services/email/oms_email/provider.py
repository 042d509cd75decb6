"""The way to customers by SMTP: one transaction a mail, over connections that stay open."""

import smtplib
import ssl
import time
from contextlib import suppress

from oms_chassis.jobs import Outcome, Retry
from oms_email import domain
from oms_email.domain import Mail
from oms_email.settings import EmailSettings
from oms_email.transaction import Answer, transact
from oms_notifications.delivery import Notice, refused, sent
from oms_notifications.pool import Pool, cause

_LOGIN = {530, 534, 535, 538}  # the server wants a login, or another one


class SmtpProvider:
    """Sends by a mail server. Whether a mail was taken when a connection broke cannot be asked: it is sent again with
    the same Message-ID, by which mail readers show it once."""

    def __init__(self, settings: EmailSettings) -> None:
        self._settings = settings
        self._sender, self._from = domain.sender(settings.email_from)
        self._tls = ssl.create_default_context() if settings.smtp_starttls else None
        self._pool = Pool(self._connect, _hang_up)

    def send(self, notice: Notice) -> Outcome:
        """Send one email."""
        recipient = domain.address(notice.to)
        if recipient is None:
            return refused("no address that mail can be sent to")
        message_id = domain.message_id(notice.key, self._from)
        mail = domain.compose(
            Mail(self._sender, recipient, notice.subject, notice.text, notice.order_id, message_id),
            time.time(),
        )
        try:
            return self._pool.run(lambda smtp: self._deliver(smtp, recipient, mail, message_id))
        except OSError as error:  # smtplib's errors are OSErrors, too
            return Retry(f"smtp: {cause(error)}")

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def _deliver(self, smtp: smtplib.SMTP, recipient: str, mail: bytes, message_id: str) -> Outcome:
        utf8 = not recipient.isascii()
        if utf8 and not smtp.has_extn("smtputf8"):
            return refused("the mail server takes no address beyond ASCII")
        answer = transact(smtp, self._from, recipient, mail, utf8=utf8)
        return sent(message_id) if answer.is_yes else _outcome(answer)

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


def _outcome(answer: Answer) -> Outcome:
    """A permanent no about the recipient or the mail is final. All else may be mended: so may a no about the sender or
    the login, which are settings."""
    reason = f"smtp: {answer.code} about the {answer.about}"
    final = answer.code >= 500 and answer.about != "sender" and answer.code not in _LOGIN
    return refused(reason) if final else Retry(reason)


def _hang_up(smtp: smtplib.SMTP) -> None:
    """Say goodbye without waiting for the answer: the server may be what is broken."""
    with suppress(OSError):
        smtp.send(b"QUIT\r\n")
    smtp.close()
