"""GET /order/{id}/events: a timeline as it happens."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from support.chassis import eventually

from oms_chassis.db import Database
from oms_order.domain import Fact, Order
from oms_order.repository import orders
from oms_order.requests import SAMPLE
from oms_order.stream import last_seen

pytestmark = pytest.mark.timeout(60)


def place(service: Any) -> str:
    return str(service.client.post("/order", json=SAMPLE).json()["id"])


def happen(database: Database, order_id: str, before: list[Fact], facts: list[Fact]) -> None:
    """Let facts happen to an order as the handlers do."""
    order, _ = Order(order_id).apply(before)
    order, steps = order.apply(facts)
    with database.transaction() as transaction:
        orders.save(transaction, [(order, steps)])


class Stream:
    """A stream that is read in its own thread."""

    def __init__(self, service: Any, order_id: str, headers: dict[str, str]) -> None:
        self.lines: list[str] = []
        self.ended = threading.Event()
        self._response = service.client.stream("GET", f"/order/{order_id}/events", headers=headers)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        with self._response as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            try:
                self.lines += response.iter_lines()
            except httpx2.RemoteProtocolError:
                self.lines.append("cut off")
        self.ended.set()

    def join(self) -> list[dict[str, Any]]:
        """The events, once the stream has ended."""
        assert self.ended.wait(15)
        self._thread.join()
        assert "cut off" not in self.lines
        return events(self.lines)


def events(lines: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


@contextmanager
def listening(service: Any, order_id: str, **headers: str) -> Iterator[Stream]:
    timelines = service.timelines
    before = len(timelines._listeners)
    stream = Stream(service, order_id, headers)
    eventually(lambda: len(timelines._listeners) > before or stream.ended.is_set())
    yield stream


def test_a_stream_sends_each_status_and_ends_with_the_last(service: Any) -> None:
    order_id = place(service)
    with listening(service, order_id) as stream:
        happen(service.database, order_id, [], [Fact.PAID])
        happen(service.database, order_id, [Fact.PAID], [Fact.STOCK_RESERVED])
    steps = stream.join()
    assert [(step["position"], step["status"]) for step in steps] == [(1, "PENDING"), (2, "PAID"), (3, "CONFIRMED")]


def test_a_stream_of_a_finished_order_sends_all_and_ends(service: Any) -> None:
    order_id = place(service)
    happen(service.database, order_id, [], [Fact.DECLINED])
    with listening(service, order_id) as stream:
        steps = stream.join()
    assert [step["status"] for step in steps] == ["PENDING", "CANCELLING", "CANCELLED"]
    assert steps[-1]["reason"] == "payment-declined"


def test_a_listener_goes_on_where_it_was_cut_off(service: Any) -> None:
    order_id = place(service)
    happen(service.database, order_id, [], [Fact.STOCK_RESERVED])
    with listening(service, order_id, **{"Last-Event-ID": "2"}) as stream:
        assert [step["status"] for step in stream.join()] == ["CONFIRMED"]


def test_a_listener_who_saw_more_than_a_restored_database_has_sees_what_follows_and_the_end(service: Any) -> None:
    order_id = place(service)
    with listening(service, order_id, **{"Last-Event-ID": "7"}) as stream:
        happen(service.database, order_id, [], [Fact.PAID, Fact.STOCK_RESERVED])
        assert [event["status"] for event in stream.join()] == ["PAID", "CONFIRMED"]


def test_a_listener_who_has_seen_the_end_is_asked_not_to_come_back(service: Any) -> None:
    order_id = place(service)
    happen(service.database, order_id, [], [Fact.STOCK_RESERVED])
    response = service.client.get(f"/order/{order_id}/events", headers={"Last-Event-ID": "3"})
    assert (response.status_code, response.content) == (204, b"")


@pytest.mark.parametrize(("header", "seen"), [(None, 0), ("3", 3), ("x", 0), ("-1", 0), ("9" * 30, 0), ("", 0)])
def test_an_id_that_is_not_ours_starts_from_the_beginning(header: str | None, seen: int) -> None:
    assert last_seen(header) == seen


def test_a_silent_stream_is_kept_alive(start: Callable[..., Any]) -> None:
    service = start(stream_heartbeat_seconds=0.05)
    order_id = place(service)
    with listening(service, order_id) as stream:
        eventually(lambda: stream.lines.count(": still here") >= 2)
        happen(service.database, order_id, [], [Fact.STOCK_RESERVED])
    assert stream.join()[-1]["status"] == "CONFIRMED"


def test_many_listeners_of_several_orders_each_get_their_own(service: Any) -> None:
    orders = [place(service) for _ in range(3)]
    streams = []
    for order_id in [*orders, *orders]:
        with listening(service, order_id) as stream:
            streams.append(stream)
    for order_id in orders:
        happen(service.database, order_id, [], [Fact.STOCK_RESERVED])
    for stream in streams:
        assert [step["status"] for step in stream.join()] == ["PENDING", "PAID", "CONFIRMED"]


def test_what_another_replica_wrote_is_sent(start: Callable[..., Any]) -> None:
    service, other = start(), start()
    order_id = place(service)
    with listening(other, order_id) as stream:
        happen(service.database, order_id, [], [Fact.STOCK_RESERVED])
    assert stream.join()[-1]["status"] == "CONFIRMED"


def test_a_stream_outlasts_an_outage_of_the_database(start: Callable[..., Any]) -> None:
    service = start()
    order_id = place(service)
    with listening(service, order_id) as stream:
        eventually(lambda: events(stream.lines))
        service.database.execute("ALTER TABLE timeline RENAME TO away")
        try:
            steps = stream.ended.wait(0.2)
        finally:
            service.database.execute("ALTER TABLE away RENAME TO timeline")
        assert not steps
        happen(service.database, order_id, [], [Fact.STOCK_RESERVED])
    assert stream.join()[-1]["status"] == "CONFIRMED"


def test_streams_end_when_the_service_drains(start: Callable[..., Any]) -> None:
    service = start()
    order_id = place(service)
    with listening(service, order_id) as stream:
        service.timelines.stop()
    assert [step["status"] for step in stream.join()] in ([], ["PENDING"])
    assert service.client.get(f"/order/{order_id}/events").status_code == 503


def test_a_listener_too_many_is_refused(start: Callable[..., Any]) -> None:
    service = start(stream_listeners=1)
    order_id = place(service)
    with listening(service, order_id) as stream:
        refused = service.client.get(f"/order/{order_id}/events")
        assert (refused.status_code, refused.json()["type"]) == (503, "/problems/busy")
        happen(service.database, order_id, [], [Fact.STOCK_RESERVED])
    stream.join()


def test_nobody_is_polled_for_once_the_last_listener_has_left(service: Any) -> None:
    order_id = place(service)
    timelines = service.timelines
    with service.client.stream("GET", f"/order/{order_id}/events") as response:
        next(response.iter_lines())
    eventually(lambda: not timelines._listeners and timelines._poller is None)
