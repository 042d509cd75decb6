"""Sends emails by SMTP: smtplib, over connections that stay open."""

import smtplib
import time
from functools import partial

from oms_chassis.jobs.queue import Outcome, Paused, Unavailable
from oms_email import addresses, answers, connection, domain
from oms_email.connection import Connection, NotOffered
from oms_email.domain import Mail
from oms_email.pool import Pool
from oms_email.settings import EmailSettings
from oms_notifications import failures
from oms_notifications.notice import InDoubt, Notice, refused, sent, turned_down


class SmtpProvider:
    """Sends through a mail server. If a connection breaks, the server cannot be asked whether it accepted the mail, so
    it is sent again a few times, with the same Message-ID, by which mail readers show it once."""

    def __init__(self, settings: EmailSettings) -> None:
        self._sender, self._from = domain.sender(settings.email_from)
        # The client's name is the sender's domain: looking up this machine's may take seconds, and nobody knows it.
        name, tls = self._from.rpartition("@")[2], connection.encryption(settings)
        self._pool = Pool(partial(connection.connect, settings, name, tls), settings.smtp_timeout)

    def send(self, notice: Notice) -> Outcome:
        """Send one email."""
        recipient = addresses.on_the_wire(notice.to)
        if recipient is None:
            return refused("no address that mail can be sent to")
        message_id = domain.message_id(notice.key, self._from)
        mail = Mail(self._sender, recipient, notice.subject, notice.text, notice.order_id, message_id)
        try:
            written = domain.compose(mail, time.time())
        except Exception as error:  # noqa: BLE001 - whatever it is, it would happen in each attempt
            return refused(f"no mail can be written of it: {type(error).__name__}")
        try:
            smtp = self._pool.take()
        except (OSError, ValueError) as error:
            # smtplib's errors are OSErrors, except for a login that it cannot parse. None is about this recipient.
            return _no_connection(error)
        if not (recipient.isascii() or smtp.has_extn("smtputf8")):
            self._pool.give(smtp)
            return turned_down("the mail server takes no address beyond ASCII")
        try:
            self._deliver(smtp, recipient, written)
        except Exception as error:
            if not (smtp.in_doubt or isinstance(error, OSError)):
                raise
            return _outcome(error, recipient, in_doubt=smtp.in_doubt)
        return sent(message_id)

    def close(self) -> None:
        """Close the connections. A mail that still waits for its answer is abandoned: its outcome stays unknown."""
        self._pool.close()

    def _deliver(self, smtp: Connection, recipient: str, mail: bytes) -> None:
        options = [] if recipient.isascii() else ["SMTPUTF8"]
        try:
            smtp.deliver(self._from, recipient, mail, options)
        except BaseException:
            self._pool.drop(smtp)
            raise
        self._pool.give(smtp)


def _no_connection(error: OSError | ValueError) -> Outcome:
    """Return the outcome of a failed connection. All mails are paused, unless the server only has too many of them."""
    reason = f"smtp: {error if isinstance(error, NotOffered) else failures.name(error)}"
    if isinstance(error, smtplib.SMTPResponseException):
        reason = f"{reason} {error.smtp_code}"
    is_busy = isinstance(error, smtplib.SMTPConnectError | smtplib.SMTPServerDisconnected)
    return Unavailable(reason) if is_busy else Paused(reason)


def _outcome(error: Exception, recipient: str, *, in_doubt: bool) -> Outcome:
    """Return the outcome of a failed delivery. Only a refusal of the recipient is final; a refusal of the sender is
    about a setting. Once the mail was sent completely, the server may have accepted it, whatever goes wrong; before
    that, it is unavailable if it does not answer."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return answers.to_recipient(*error.recipients[recipient])
    if isinstance(error, smtplib.SMTPDataError) and not in_doubt:
        return answers.to_mail(error.smtp_code, _bytes(error.smtp_error))
    if isinstance(error, smtplib.SMTPSenderRefused):
        return answers.to_sender(error.smtp_code)
    reason = f"smtp: {type(error).__name__}"
    return InDoubt(f"{reason}, in doubt") if in_doubt else Unavailable(reason)


def _bytes(text: bytes | str) -> bytes:
    return text.encode() if isinstance(text, str) else text
