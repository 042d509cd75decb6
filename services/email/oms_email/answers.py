"""Maps a mail server's refusals to outcomes. A refusal is final only if it is about the recipient; anything else may
be repaired.

The enhanced status code (RFC 3463) says what a refusal is about: x.1.x an address, x.2.x a mailbox, x.3.x the server,
x.4.x the network or a quota, x.5.x the protocol, x.7.x rights and policies. If it is missing, the reply code decides.
"""

import re

from oms_chassis.jobs.queue import Outcome, Paused, Retry, Unavailable
from oms_notifications.notice import refused

_ENHANCED = re.compile(rb"\s*([245])\.([0-9]{1,3})\.([0-9]{1,3})(?![0-9.])")
_OF_THE_SENDER = {7, 8}  # details of x.1: the wrong address is the shop's
_DISABLED = (2, 1)
_NO_SUCH_MAILBOX = {550, 551, 553}  # in answer to RCPT, without an enhanced status code
_NO_LOGIN = {530, 534, 535, 538}
_NOT_AVAILABLE = 421
_OURS = {3, 4, 7}  # subjects: the server, the network or our quota, our rights


def to_sender(code: int) -> Outcome:
    """Return the outcome for a refusal of MAIL."""
    reason = f"smtp: {code} about the sender"
    return Paused(reason) if code in _NO_LOGIN else Unavailable(reason)


def to_recipient(code: int, text: bytes) -> Outcome:
    """Return the outcome for a refusal of RCPT."""
    return _outcome(code, text, "recipient", final=code in _NO_SUCH_MAILBOX)


def to_mail(code: int, text: bytes) -> Outcome:
    """Return the outcome for a refusal of the mail itself."""
    return _outcome(code, text, "mail", final=False)


def _outcome(code: int, text: bytes, about: str, *, final: bool) -> Outcome:
    enhanced = _ENHANCED.match(text)
    is_ours = code == _NOT_AVAILABLE
    if enhanced is None:
        reason = f"smtp: {code} about the {about}"
    else:
        category, subject, detail = map(int, enhanced.groups())
        reason = f"smtp: {code} {category}.{subject}.{detail} about the {about}"
        final = code >= 500 and category == 5 and _is_the_recipients(subject, detail)
        is_ours = is_ours or (code >= 500 and subject in _OURS)
    if code in _NO_LOGIN:
        return Paused(reason)
    if final:
        return refused(reason)
    return Unavailable(reason) if is_ours else Retry(reason)


def _is_the_recipients(subject: int, detail: int) -> bool:
    return (subject == 1 and detail not in _OF_THE_SENDER) or (subject, detail) == _DISABLED
