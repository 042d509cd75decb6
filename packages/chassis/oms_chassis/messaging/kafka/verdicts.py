"""Classifies the client's errors: the broker, a topic or a record is to blame."""

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
# Not InvalidTimestampError: it means that this machine's clock is more than an hour ahead of the broker's, which is not
# the record's fault.
_OF_THE_RECORD = (
    InvalidRecordError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    UnsupportedForMessageFormatError,
)


def verdict(topic: str, error: Exception) -> Exception:
    """Return the error that says what an error of the client is about. Errors of any other type mean that the client
    refused its arguments."""
    name = type(error).__name__
    if isinstance(error, _OF_THE_TOPIC):
        return TopicRefused(topic, name)
    if isinstance(error, _OF_THE_RECORD) or not isinstance(error, KafkaError | OSError | RuntimeError):
        return RecordRefused(name)
    return StreamUnavailable(name)


def raise_gravest(errors: Sequence[Exception]) -> None:
    """Raise the gravest of these, if there are any: an unavailable broker before a refused topic, and that before a
    refused record."""
    for kind in (StreamUnavailable, TopicRefused, RecordRefused):
        for error in errors:
            if isinstance(error, kind):
                raise error
