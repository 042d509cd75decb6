"""The problems for which an operator's command on a message is refused."""

from oms_chassis.http.problems import Problem


class NoSuchMessage(Problem):
    """The order has not ended, or there is no such order."""

    status, kind, title = 404, "no-such-message", "This service has no message about this order"


class MessageNotFailed(Problem):
    """Only a message that was given up can be sent again: any other may have reached the customer, or still may."""

    status, kind, title = 409, "message-not-failed", "This message was not given up"


class NothingToSend(Problem):
    """The message's address and text are gone: the provider refused it for good, or its job is too old."""

    status, kind, title = 409, "nothing-to-send", "The content of this message is gone"
