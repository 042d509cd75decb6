"""Connections that are kept."""

import itertools

import pytest

from oms_notifications.pool import Pool, Stale


class Line:
    """A connection that remembers how it was used."""

    numbers = itertools.count()

    def __init__(self) -> None:
        self.number = next(self.numbers)
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


def test_a_connection_is_used_again() -> None:
    pool = Pool(Line, Line.close)
    first = pool.run(lambda line: line)
    assert pool.run(lambda line: line) is first


def test_a_use_that_fails_closes_its_connection() -> None:
    pool = Pool(Line, Line.close)
    first = pool.run(lambda line: line)

    def fail(_: Line) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        pool.run(fail)
    assert first.is_closed
    assert pool.run(lambda line: line) is not first


def test_a_stale_connection_is_replaced_at_once() -> None:
    pool = Pool(Line, Line.close)
    old = pool.run(lambda line: line)

    def use(line: Line) -> Line:
        if line is old:
            raise Stale
        return line

    assert pool.run(use) is not old
    assert old.is_closed


def test_a_new_connection_that_is_stale_is_not_replaced_for_ever() -> None:
    opened: list[Line] = []

    def open_() -> Line:
        opened.append(Line())
        return opened[-1]

    def use(_: Line) -> None:
        raise Stale

    with pytest.raises(Stale):
        Pool(open_, Line.close).run(use)
    assert len(opened) == 1


def test_what_was_idle_for_too_long_is_closed() -> None:
    pool = Pool(Line, Line.close, idle=-1.0)
    first = pool.run(lambda line: line)
    assert pool.run(lambda line: line) is not first
    assert first.is_closed


def test_closing_a_pool_closes_what_is_idle() -> None:
    pool = Pool(Line, Line.close)
    line = pool.run(lambda line: line)
    pool.close()
    assert line.is_closed
