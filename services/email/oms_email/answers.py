"""What a mail server's no means. It is final only where it is about the recipient; all else may be repaired.

The enhanced status code (RFC 3463) says what a no is about: x.1.x an address, x.2.x a mailbox, x.3.x the server, x.4.x
the network or a quota, x.5.x the protocol, x.7.x rights and policies. A server that sends none leaves its reply code.
"""

import re

from oms_chassis.jobs.queue import Outcome, Paused, Retry, Unavailable
from oms_notifications.notice import refused

_ENHANCED = re.compile(rb"\s*([245])\.([0-9]{1,3})\.([0-9]{1,3})(?![0-9.])")
_OF_THE_SENDER = {7, 8}  # details of x.1: the address that is wrong is the shop's
_DISABLED = (2, 1)
_NO_SUCH_MAILBOX = {550, 551, 553}  # where a server says no more than that, in answer to the recipient's address
_NO_LOGIN = {530, 534, 535, 538}
_NOT_AVAILABLE = 421
_OURS = {3, 4, 7}  # subjects: the server, the network or our quota, our rights


def to_sender(code: int) -> Outcome:
    """What the answer to MAIL means."""
    reason = f"smtp: {code} about the sender"
    return Paused(reason) if code in _NO_LOGIN else Unavailable(reason)


def to_recipient(code: int, text: bytes) -> Outcome:
    """What the answer to RCPT means."""
    return _outcome(code, text, "recipient", final=code in _NO_SUCH_MAILBOX)


def to_mail(code: int, text: bytes) -> Outcome:
    """What the answer to the mail itself means."""
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
