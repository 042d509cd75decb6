"""Waiting for servers that start at the same time."""

import pytest

from oms_chassis.runtime.waiting import until_up


def test_an_attempt_is_made_again_until_it_succeeds() -> None:
    failures = [ConnectionError(), ConnectionError()]

    def attempt() -> str:
        if failures:
            raise failures.pop()
        return "up"

    assert until_up(attempt, ConnectionError) == "up"
    assert not failures


def test_patience_ends() -> None:
    def attempt() -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        until_up(attempt, ConnectionError, within=0.1)


def test_other_failures_are_not_retried() -> None:
    def attempt() -> None:
        raise ValueError("a fault of its own")

    with pytest.raises(ValueError, match="of its own"):
        until_up(attempt, ConnectionError)
