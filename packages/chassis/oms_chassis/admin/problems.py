"""What an operator's act may be refused for."""

from oms_chassis.http.problems import Problem


class NoSuchLetter(Problem):
    """It was never there, or is too old and was deleted."""

    status, kind, title = 404, "no-such-dead-letter", "This service has no dead letter of this id"


class LetterSettled(Problem):
    """It was redriven or dropped before, and that is not repeated."""

    status, kind, title = 409, "dead-letter-settled", "This dead letter has been seen to"


class EarlierLetter(Problem):
    """Events of one key are applied in order: the earlier letter goes first, or is dropped."""

    status, kind, title = 409, "earlier-dead-letter", "An earlier event of the same key is a dead letter, too"


class EventFails(Problem):
    """Nothing was changed: what makes it fail is still to be repaired."""

    status, kind, title = 409, "event-fails", "The event cannot be applied yet"


class NoSuchJob(Problem):
    """It is done, or never was."""

    status, kind, title = 404, "no-such-job", "This service has no job of this queue and id"


class JobNotCancellable(Problem):
    """What its call is to settle would stay open for ever. `oms payments resolve` settles a payment."""

    status, kind, title = 409, "job-not-cancellable", "Jobs of this queue cannot be cancelled"


class CallUnderWay(Problem):
    """A worker has this job: its call is left to end, and not made twice. If that worker died, the job is due by itself
    within OMS_JOB_LEASE_SECONDS, or can be retried then if it was cancelled."""

    status, kind, title = 409, "call-under-way", "The call of this job may be under way"


class NoSuchRow(Problem):
    """It was put back or dropped before, or never was."""

    status, kind, title = 404, "no-such-row", "This service's quarantine has no row of this id"


class NoSuchKey(Problem):
    """This service has not been given it."""

    status, kind, title = 404, "no-such-key", "This service has no API key of this id"


class KeyExists(Problem):
    """A key is what it was when it was made, and one that is revoked stays so. Make another one."""

    status, kind, title = 409, "key-exists", "There is another API key of this id or hash, or it is revoked"


class UnderWay(Problem):
    """What is still to be sent or called needs the customer's data: it is erased once the orders have ended. Send the
    same request again then."""

    status, kind, title = 409, "orders-under-way", "Orders of this customer are under way"
