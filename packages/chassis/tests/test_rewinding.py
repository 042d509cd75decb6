"""A group is set back in time on a real broker; two installations on one broker do not read each other's records."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from support.broker import administering
from support.chassis import eventually

from oms_chassis.messaging.kafka import GroupInUse, KafkaSink, KafkaSource, awaited, reconcile_topics, rewind, skip
from oms_chassis.messaging.streams import Outgoing, Record, StreamUnavailable, TopicRefused, next_offsets
from oms_chassis.runtime.cli import main
from oms_chassis.runtime.service import Components, Service
from oms_chassis.settings import Settings, TopicSettings
from oms_contracts import topics


@pytest.fixture
def settings(kafka: str) -> Iterator[Settings]:
    """An installation with a topic of its own."""
    made = Settings(
        database_url="postgresql://nobody@127.0.0.1:1/none",
        kafka_bootstrap=kafka,
        kafka_prefix=f"{uuid4().hex}.",
        kafka_topics={"things": TopicSettings(partitions=2)},
    )
    reconcile_topics(made)
    yield made
    with administering(kafka) as admin:
        admin.delete_topics([name for name in admin.list_topics() if name.startswith(made.kafka_prefix)])


def send(settings: Settings, *values: bytes) -> None:
    sink = KafkaSink(settings)
    sink.send([Outgoing("things", value, value) for value in values])
    sink.close()


def read(settings: Settings, count: int) -> list[Record]:
    """Read and commit like a service, and leave."""
    source = KafkaSource(settings, "toy", ["things"])
    try:
        found = poll(source, count)
        source.commit(next_offsets(found))
    finally:
        source.close()
    return found


def poll(source: KafkaSource, count: int) -> list[Record]:
    found: list[Record] = []

    def all_there() -> bool:
        found.extend(source.poll(0.2))
        return len(found) >= count

    eventually(all_there, within=60)
    return found


def values(records: list[Record]) -> list[bytes]:
    return sorted(record.value or b"" for record in records)


def later() -> datetime:
    """Return a time after all records so far, by the clock that stamps records."""
    moment = datetime.now(UTC)
    eventually(lambda: datetime.now(UTC) - moment > timedelta(milliseconds=5), within=5)
    return datetime.now(UTC)


def test_a_group_reads_again_only_records_since_the_given_time(settings: Settings) -> None:
    send(settings, b"a", b"b")
    since = later()
    send(settings, b"c", b"d", b"e")
    assert values(read(settings, 5)) == [b"a", b"b", b"c", b"d", b"e"]
    back = rewind(settings, "toy", ["things"], since)
    assert {topic for topic, _ in back} == {"things"}
    assert values(read(settings, 3)) == [b"c", b"d", b"e"]


def test_a_group_is_never_set_forward(settings: Settings) -> None:
    send(settings, b"a")
    assert values(read(settings, 1)) == [b"a"]
    since = later()
    send(settings, b"b", b"c")
    assert rewind(settings, "toy", ["things"], since) == {}
    assert values(read(settings, 2)) == [b"b", b"c"]


def test_a_group_with_members_is_left_alone(settings: Settings) -> None:
    send(settings, b"a")
    since = datetime.now(UTC) - timedelta(hours=1)
    read(settings, 1)
    member = KafkaSource(settings, "toy", ["things"])
    try:
        eventually(lambda: (member.poll(0.2), member.is_assigned())[1], within=60)
        with pytest.raises(GroupInUse):
            rewind(settings, "toy", ["things"], since)
    finally:
        member.close()


def test_records_that_no_member_has_processed_are_counted_without_joining_the_group(settings: Settings) -> None:
    send(settings, b"a", b"b")
    assert awaited(settings, "toy", ["things"], later()) == {"things": 2}  # by a group that has never read
    read(settings, 2)
    member = KafkaSource(settings, "toy", ["things"])
    try:
        eventually(lambda: (member.poll(0.2), member.is_assigned())[1], within=60)
        assert awaited(settings, "toy", ["things"], later()) == {}
        send(settings, b"c", b"d", b"e")
        until = later()
        send(settings, b"f")  # which may well be on its way
        assert awaited(settings, "toy", ["things", "nothing"], until) == {"things": 3}
        assert len(poll(member, 4)) == 4  # it has lost no partition by that
    finally:
        member.close()


def test_without_a_broker_counting_and_rewinding_fail(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:1"})
    with pytest.raises(StreamUnavailable):
        awaited(nowhere, "toy", ["things"], datetime.now(UTC))
    with pytest.raises(StreamUnavailable):
        rewind(nowhere, "toy", ["things"], datetime.now(UTC))


def test_an_installation_reads_no_records_of_another_on_the_same_broker(settings: Settings) -> None:
    other = settings.model_copy(update={"kafka_prefix": f"{settings.kafka_prefix}other."})
    reconcile_topics(other)
    send(settings, b"mine")
    send(other, b"theirs")
    found = read(settings, 1)
    assert values(found) == [b"mine"]
    assert {record.topic for record in found} == {"things"}  # the prefix is the broker's business
    assert values(read(other, 1)) == [b"theirs"]


def test_a_refused_topic_is_named_as_the_relay_knows_it(settings: Settings) -> None:
    sink = KafkaSink(settings)
    with pytest.raises(TopicRefused) as refused:
        sink.send([Outgoing("nothing", b"key", b"value")])
    sink.close()
    assert refused.value.topic == "nothing"


@pytest.fixture
def command(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Service:
    monkeypatch.setenv("OMS_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("OMS_KAFKA_BOOTSTRAP", settings.kafka_bootstrap)
    monkeypatch.setenv("OMS_KAFKA_PREFIX", settings.kafka_prefix)
    monkeypatch.setattr(topics, "read_by", lambda service: ["things"] if service == "toy" else [])
    return Service("toy", "toy", Settings, lambda _: Components())


def test_the_command_sets_the_service_back(
    settings: Settings, command: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    send(settings, b"a")
    read(settings, 1)
    hour = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    assert main(command, ["rewind", "--since", hour]) == 0
    assert "rewound" in capsys.readouterr().out
    assert values(read(settings, 1)) == [b"a"]


def test_the_command_goes_back_only_as_far_as_repetitions_are_recognised(
    command: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command, ["rewind", "--since", (datetime.now(UTC) - timedelta(days=10)).isoformat()]) == 2
    assert "rewind_too_far" in capsys.readouterr().out


NEXT_YEAR = (datetime.now(UTC) + timedelta(days=365)).isoformat()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rewind"], "--since goes with rewind"),
        (["rewind", "--since", "2026-01-01T00:00:00"], "--since: a time without its zone"),
        (["rewind", "--since", "yesterday"], "--since: not a time"),
        (["rewind", "--since", NEXT_YEAR], "--since: a time that is yet to come"),
        (["serve", "--since", "2026-01-01T00:00:00Z"], "--since goes with rewind"),
        (["skip", "--beyond", "things"], "--beyond: not TOPIC:PARTITION:OFFSET"),
        (["skip", "--beyond", "things:0:-1"], "--beyond: not TOPIC:PARTITION:OFFSET"),
        (["skip", "--beyond", "things:-1:1"], "--beyond: not TOPIC:PARTITION:OFFSET"),
    ],
)
def test_an_invalid_time_or_offset_is_refused_with_an_example(
    command: Service, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(command, arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_group_is_set_forward_beyond_unreadable_records_and_never_back(settings: Settings) -> None:
    send(settings, *(b"a" for _ in range(5)))
    (partition,) = {record.partition for record in read(settings, 5)}
    send(settings, *(b"a" for _ in range(3)))
    assert skip(settings, "toy", ("things", partition), 7) == 5
    assert skip(settings, "toy", ("things", partition), 6) is None
    assert [record.offset for record in read(settings, 1)] == [7]


def test_a_group_is_not_set_to_an_offset_that_does_not_exist(
    settings: Settings, command: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would start over, with all records of the topic."""
    send(settings, *(b"a" for _ in range(5)))
    (partition,) = {record.partition for record in read(settings, 5)}
    for place in (f"{partition}:6", "99:1"):
        assert main(command, ["skip", "--beyond", f"things:{place}"]) == 2
        assert "skip_to_no_place" in capsys.readouterr().out
    send(settings, b"b")
    assert values(read(settings, 1)) == [b"b"]
    assert main(command, ["skip", "--beyond", f"things:{partition}:6"]) == 0


def test_a_group_with_members_is_not_set_forward(settings: Settings) -> None:
    send(settings, b"a")
    source = KafkaSource(settings, "toy", ["things"])
    eventually(lambda: (source.poll(0.2), source.is_assigned())[1], within=60)
    with pytest.raises(GroupInUse):
        skip(settings, "toy", ("things", 0), 1)
    source.close()
