"""What an operator's act on a message may be refused for."""

from oms_chassis.http.problems import Problem


class NoSuchMessage(Problem):
    """The order has not ended, or there is no such order."""

    status, kind, title = 404, "no-such-message", "This service has no message about this order"


class MessageNotFailed(Problem):
    """Only a message that was given up is sent again: another one may have reached the customer, or may do so yet."""

    status, kind, title = 409, "message-not-failed", "This message was not given up"


class NothingToSend(Problem):
    """The provider refused the message for good, or what was kept of it has become too old: its address and text are
    gone."""

    status, kind, title = 409, "nothing-to-send", "Nothing is left of this message that could be sent"
