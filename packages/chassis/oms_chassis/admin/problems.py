"""Problems of operators' acts."""

from oms_chassis.http.problems import Problem


class NoSuchLetter(Problem):
    """It never existed, or was deleted because it was too old."""

    status, kind, title = 404, "no-such-dead-letter", "This service has no dead letter of this id"


class LetterSettled(Problem):
    """It has already been redriven or dropped, which cannot be repeated."""

    status, kind, title = 409, "dead-letter-settled", "This dead letter has been seen to"


class EarlierLetter(Problem):
    """Events of one key are applied in order: redrive or drop the earlier letter first."""

    status, kind, title = 409, "earlier-dead-letter", "An earlier event of the same key is a dead letter, too"


class EventFails(Problem):
    """The event failed again, because the cause of its failure has not been repaired yet. Nothing was changed."""

    status, kind, title = 409, "event-fails", "The event cannot be applied yet"


class NoSuchJob(Problem):
    """The job is done, or never existed."""

    status, kind, title = 404, "no-such-job", "This service has no job of this queue and id"


class JobNotCancellable(Problem):
    """Without its call, a payment or a refund would stay open for ever. `oms payments resolve` settles a payment."""

    status, kind, title = 409, "job-not-cancellable", "Jobs of this queue cannot be cancelled"


class CallUnderWay(Problem):
    """A worker has this job, and its call must not be made twice. If that worker died, the job becomes due by itself
    within OMS_JOB_LEASE_SECONDS; if the job was cancelled, it can be retried then."""

    status, kind, title = 409, "call-under-way", "The call of this job may be under way"


class NoSuchRow(Problem):
    """It was put back or dropped before, or never existed."""

    status, kind, title = 404, "no-such-row", "This service's quarantine has no row of this id"


class NoSuchKey(Problem):
    """No such key was created at this service."""

    status, kind, title = 404, "no-such-key", "This service has no API key of this id"


class KeyExists(Problem):
    """A key cannot be changed, and a revoked one stays revoked. Create another one."""

    status, kind, title = 409, "key-exists", "There is another API key of this id or hash, or it is revoked"


class UnderWay(Problem):
    """Calls and events that have not been sent yet need the customer's data. It can be erased once the
    orders have ended: repeat the request then."""

    status, kind, title = 409, "orders-under-way", "Orders of this customer are under way"
