"""Headers in many lines."""

from collections.abc import Iterator

from oms_chassis.http.messages import folded

Field = tuple[bytes, bytes]


class Counted(list[Field]):
    """A list that counts how often it is iterated."""

    times = 0

    def __iter__(self) -> Iterator[Field]:
        self.times += 1
        return super().__iter__()


def test_a_condition_in_many_lines_is_joined_and_read_only_a_few_times() -> None:
    lines = [(b"if-match", b'"%d"' % number) for number in range(2000)]
    given = Counted([(b"host", b"a"), *lines, (b"if-none-match", b"*")])
    tags = b", ".join(value for _, value in lines)
    assert sorted(folded(given)) == [(b"host", b"a"), (b"if-match", tags), (b"if-none-match", b"*")]
    assert given.times < 10
