"""What an error of the client is about: the broker, a topic, or a record."""

from collections.abc import Sequence

from kafka.errors import (
    InvalidRecordError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    UnsupportedForMessageFormatError,
)

from oms_chassis.messaging.streams import RecordRefused, StreamUnavailable, TopicRefused

_OF_THE_TOPIC = (InvalidTopicError, TopicAuthorizationFailedError, UnknownTopicOrPartitionError)
# Not InvalidTimestampError: the clock of this machine is ahead of the broker's by more than an hour, and no record is
# at fault.
_OF_THE_RECORD = (
    InvalidRecordError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    UnsupportedForMessageFormatError,
)


def verdict(topic: str, error: Exception) -> Exception:
    """What an error of the client is about. Anything else that it raises is a refusal of the arguments."""
    name = type(error).__name__
    if isinstance(error, _OF_THE_TOPIC):
        return TopicRefused(topic, name)
    if isinstance(error, _OF_THE_RECORD) or not isinstance(error, KafkaError | OSError | RuntimeError):
        return RecordRefused(name)
    return StreamUnavailable(name)


def raise_gravest(errors: Sequence[Exception]) -> None:
    """Raise one of these, if there are any: a broker that is away is no fault of a topic, nor a topic of a record."""
    for kind in (StreamUnavailable, TopicRefused, RecordRefused):
        for error in errors:
            if isinstance(error, kind):
                raise error
