"""What a caller is answered when the database falls silent, loses answers, is locked, or takes no writes."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import httpx2
import psycopg
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.exc import TimeoutError as PoolTimeout
from support.chassis import eventually
from support.network import Proxy, proxy

from oms_chassis.db import Database
from oms_chassis.sessions import Limits
from oms_order.metrics import OrderMetrics
from oms_order.repository.placing import Placement, Stored, Unresolved, Writer
from oms_order.requests import SAMPLE

T = TypeVar("T")
QUICK = Limits(statement=1.0, lock=0.5, grace=0.5, pool=0.5)
LOCKED = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
SLOW = 5.0  # seconds more than promised that a busy machine may take
KEY = {"Idempotency-Key": "k"}


@pytest.fixture
def network(migrated_url: str) -> Iterator[Proxy]:
    with proxy(migrated_url) as network:
        yield network


@pytest.fixture
def far(network: Proxy, migrated_url: str) -> Iterator[Database]:
    """The database through the proxy, with a connection that is open."""
    far = Database(network.url(migrated_url), 1, QUICK)
    far.execute("SELECT 1")
    yield far
    far.dispose()


@pytest.fixture
def service(start: Callable[..., Any], network: Proxy, migrated_url: str) -> Any:
    """A replica behind the proxy whose connections are open."""
    service = start(database_url=network.url(migrated_url), database_statement_seconds=1)
    service.client.timeout = 60
    assert service.client.post("/order", json=SAMPLE).status_code == 202
    assert service.client.get("/order").status_code == 200
    return service


def timed(act: Callable[[], T]) -> tuple[T, float]:
    began = time.monotonic()
    return act(), time.monotonic() - began


def place(service: Any, headers: dict[str, str]) -> httpx2.Response:
    response: httpx2.Response = service.client.post("/order", json=SAMPLE, headers=headers)
    return response


def orders(database: Database) -> set[str]:
    return {row.id for row in database.execute("SELECT id::text FROM orders")}


def write(database: Database, *placements: Placement) -> list[Stored | Exception]:
    return list(Writer(database, OrderMetrics(CollectorRegistry())).write(list(placements)))


@pytest.mark.parametrize("lose", [Proxy.mute, Proxy.blackhole, Proxy.cut])
@pytest.mark.parametrize("headers", [{}, KEY])
def test_an_order_whose_answer_is_lost_on_the_way_is_accepted_once(
    service: Any, network: Proxy, database: Database, lose: Callable[[Proxy], None], headers: dict[str, str]
) -> None:
    lose(network)
    response, took = timed(lambda: service.client.post("/order", json=SAMPLE, headers=headers))
    assert response.status_code == 202
    assert took < 30
    assert len(orders(database)) == 2
    assert response.json()["id"] in orders(database)
    assert database.execute("SELECT count(*) AS n FROM outbox")[0].n == 2
    eventually(lambda: service.client.get(response.headers["location"]).status_code == 200, within=30)


def test_a_batch_with_a_taken_key_whose_answer_is_lost_comes_to_what_is_stored(
    far: Database, network: Proxy, database: Database, make_placement: Callable[..., Placement]
) -> None:
    (first,) = write(database, make_placement("first", "taken"))
    network.mute()
    again, fresh, keyed = [make_placement("again", "taken"), make_placement("fresh"), make_placement("keyed", "free")]
    outcomes = write(far, again, fresh, keyed)
    assert [getattr(one, "order_id", one) for one in outcomes] == [
        getattr(first, "order_id", None),
        fresh.order_id,
        keyed.order_id,
    ]
    assert len(orders(database)) == 3
    assert database.execute("SELECT count(*) AS n FROM outbox")[0].n == 3


def test_a_statement_that_is_still_under_way_is_waited_for_and_not_done_twice(
    database: Database, migrated_url: str, make_placement: Callable[..., Placement]
) -> None:
    one = make_placement("one", "key")
    second = Database(migrated_url, 1)
    with ThreadPoolExecutor(1) as pool:
        with database.transaction() as transaction:
            Writer(database, OrderMetrics(CollectorRegistry())).run(transaction.connection, [one])
            outcome = pool.submit(write, second, one)
            eventually(lambda: database.execute(LOCKED))
        assert outcome.result(30) == [Stored(one.order_id, one.fingerprint, one.answer)]
    second.dispose()
    assert orders(database) == {one.order_id}
    assert database.execute("SELECT count(*) AS n FROM outbox")[0].n == 1


def test_what_cannot_be_found_out_is_said_to_be_unknown_and_where_to_look(
    service: Any, network: Proxy, database: Database
) -> None:
    for headers, repeat in (({}, None), (KEY, "1")):
        network.refuse(False)
        assert eventually(lambda: service.client.post("/order", json=SAMPLE).status_code == 202, within=30)
        stored = orders(database)
        network.mute()
        network.refuse()
        response = service.client.post("/order", json=SAMPLE, headers=headers)
        assert (response.status_code, response.json()["type"]) == (503, "/problems/outcome-unknown")
        assert response.headers.get("retry-after") == repeat
        (new,) = orders(database) - stored
        assert response.headers["location"] == f"/order/{new}"
        assert new in response.json()["detail"]


def test_whoever_waits_for_an_answer_has_one_within_five_seconds_while_the_database_is_silent(
    service: Any, network: Proxy, database: Database
) -> None:
    network.blackhole(new=True)
    try:
        with ThreadPoolExecutor(12) as pool:
            posts = [pool.submit(timed, partial(place, service, {})) for _ in range(6)]
            posts += [pool.submit(timed, partial(place, service, {"Idempotency-Key": f"k{n}"})) for n in range(6)]
            answers = [post.result(60) for post in posts]
    finally:
        network.heal()
    assert {response.status_code for response, _ in answers} == {503}
    assert {response.json()["type"] for response, _ in answers} <= {
        "/problems/unavailable",
        "/problems/outcome-unknown",
    }
    assert max(took for _, took in answers) < 5.0 + SLOW
    refused = [r for r, _ in answers if r.json()["type"] == "/problems/unavailable"]
    assert refused  # those behind the batch that is in doubt are known not to be stored
    assert eventually(lambda: place(service, {}).status_code == 202, within=30)


def test_an_order_whose_outcome_was_answered_as_unknown_is_not_written_afterwards(
    far: Database, network: Proxy, database: Database, make_placement: Callable[..., Placement]
) -> None:
    network.blackhole()  # the connection that is open; another one works
    answered, awaited = replace(make_placement("answered"), answer_by=0.0), make_placement("awaited")
    unknown, stored = write(far, answered, awaited)
    assert isinstance(unknown, Unresolved)
    assert getattr(stored, "order_id", None) == awaited.order_id
    assert orders(database) == {awaited.order_id}


def test_an_order_whose_client_hangs_up_before_it_is_written_is_never_written(
    start: Callable[..., Any], database: Database, migrated_url: str
) -> None:
    service = start()

    def ended() -> float:
        labels = {"method": "POST", "route": "/order", "status": "503"}
        return service.registry.get_sample_value("oms_http_request_seconds_count", labels) or 0.0

    posts: list[httpx2.Response] = []
    with psycopg.connect(migrated_url) as other:
        other.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        first = threading.Thread(target=lambda: posts.append(place(service, {})))
        first.start()
        eventually(lambda: database.execute(LOCKED))
        with pytest.raises(httpx2.ReadTimeout):
            service.client.post("/order", json=SAMPLE, timeout=0.3)
        assert eventually(lambda: ended() == 1)  # before the first one's answer
        other.rollback()
        first.join(30)
    posts.append(place(service, {}))  # it is written after whatever waited before it
    assert len(orders(database)) == [post.status_code for post in posts].count(202)


def test_a_client_that_sends_nothing_after_its_order_is_answered(
    start: Callable[..., Any], database: Database, migrated_url: str
) -> None:
    service = start()
    body = json.dumps(SAMPLE).encode()
    head = f"POST /order HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"

    def post() -> bytes:
        address = service.client.base_url
        with socket.create_connection((address.host, address.port), timeout=20) as connection:
            connection.sendall(head.encode() + body)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    assert post().startswith(b"HTTP/1.1 202 ")
    with psycopg.connect(migrated_url) as other:
        other.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(service.client.post, "/order", json=SAMPLE)
            eventually(lambda: database.execute(LOCKED))
            answer, took = timed(post)
            assert answer.startswith(b"HTTP/1.1 503 "), "it may have gone away, and its order is not written any more"
            assert took < 1.5, "its order was dropped before its time in the queue was over"
            other.rollback()
            written = 1 + (first.result(30).status_code == 202)
    assert len(orders(database)) == written


def test_an_order_that_was_never_sent_to_the_database_was_not_stored(
    far: Database, make_placement: Callable[..., Placement]
) -> None:
    with far.autocommit():  # the only one
        (outcome,) = write(far, make_placement("x"))
    assert isinstance(outcome, PoolTimeout)


def test_while_the_orders_are_locked_callers_are_answered_in_time_and_afterwards_all_is_well(
    service: Any, database: Database, migrated_url: str
) -> None:
    with psycopg.connect(migrated_url) as other:
        other.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        with ThreadPoolExecutor(40) as pool:
            reads = [pool.submit(service.client.get, "/order") for _ in range(40)]
            posts = [pool.submit(timed, lambda: service.client.post("/order", json=SAMPLE)) for _ in range(3)]
            answers = [post.result(60) for post in posts]
            assert {read.result(60).status_code for read in reads} == {503}
    assert {(response.status_code, response.json()["type"]) for response, _ in answers} == {
        (503, "/problems/unavailable")
    }
    assert max(took for _, took in answers) < 20
    assert len(orders(database)) == 1
    assert service.client.post("/order", json=SAMPLE).status_code == 202


def test_however_many_callers_ask_while_the_database_hangs_none_waits_for_the_others(
    start: Callable[..., Any], migrated_url: str
) -> None:
    service = start()
    order = place(service, {}).headers["location"]
    asked = [("GET", order), ("GET", f"{order}/events"), ("POST", f"{order}/cancel"), ("GET", "/order")] * 75

    async def ask() -> list[tuple[int, float]]:
        limits = httpx2.Limits(max_connections=len(asked))
        async with httpx2.AsyncClient(base_url=service.client.base_url, timeout=120, limits=limits) as client:

            async def answer(method: str, path: str) -> tuple[int, float]:
                began = time.monotonic()
                return (await client.request(method, path)).status_code, time.monotonic() - began

            return await asyncio.gather(*(answer(*one) for one in asked))

    with psycopg.connect(migrated_url) as other:
        other.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        answers = asyncio.run(ask())
        other.rollback()
    assert {status for status, _ in answers} == {503}
    assert max(took for _, took in answers) < 10 + SLOW
    assert service.client.get(order).json()["status"] == "PENDING"


def test_an_order_that_waited_too_long_to_be_written_is_never_written(
    start: Callable[..., Any], database: Database, migrated_url: str
) -> None:
    service = start(queue_seconds=0.5)
    posts: list[httpx2.Response] = []
    with psycopg.connect(migrated_url) as other:
        other.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        first = threading.Thread(target=lambda: posts.append(service.client.post("/order", json=SAMPLE)))
        first.start()
        eventually(lambda: database.execute(LOCKED))
        late = service.client.post("/order", json=SAMPLE)
        assert (late.status_code, late.json()["type"]) == (503, "/problems/unavailable")
        other.rollback()
        first.join(30)
    assert service.client.post("/order", json=SAMPLE).status_code == 202
    assert len(orders(database)) == 1 + [post.status_code for post in posts].count(202)


def test_more_orders_than_may_wait_are_refused(start: Callable[..., Any], migrated_url: str) -> None:
    service = start(queue_limit=1)
    with psycopg.connect(migrated_url) as other:
        other.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: service.client.post("/order", json=SAMPLE), range(8)))
    assert "/problems/busy" in {answer.json()["type"] for answer in answers}
    assert all("retry-after" in answer.headers for answer in answers)


def test_a_database_that_was_demoted_is_left_for_the_one_that_takes_writes(
    start: Callable[..., Any], database: Database, migrated_url: str
) -> None:
    """The old connections turn read-only; new ones lead to a server that takes writes."""
    service = start()
    assert service.client.post("/order", json=SAMPLE).status_code == 202
    name = migrated_url.rpartition("/")[2]
    with psycopg.connect(migrated_url, autocommit=True) as admin:
        admin.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        admin.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = off')
        try:
            admin.execute("SELECT pg_reload_conf()")
            assert eventually(lambda: service.client.post("/order", json=SAMPLE).status_code == 202, within=20)
            assert service.client.get("/order").status_code == 200
        finally:
            admin.execute("SET default_transaction_read_only = off")
            admin.execute("ALTER SYSTEM RESET default_transaction_read_only")
            admin.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
            admin.execute("SELECT pg_reload_conf()")


def test_an_order_without_a_key_is_refused_where_keys_are_required(start: Callable[..., Any]) -> None:
    service = start(require_idempotency_key=True)
    refused = service.client.post("/order", json=SAMPLE)
    assert (refused.status_code, refused.json()["type"]) == (400, "/problems/idempotency-key-required")
    assert refused.json()["errors"] == [{"field": "Idempotency-Key", "message": "is required"}]
    assert service.client.post("/order", json=SAMPLE, headers=KEY).status_code == 202
