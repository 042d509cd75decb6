"""Calls to other systems are listed, retried and cancelled."""

import json
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient
from support.repairs import SECRET, Calls, audit, dead_job

from oms_chassis.db import Database
from oms_chassis.jobs.interventions import end_patience
from oms_chassis.jobs.leases import give_back, postpone, renew
from oms_chassis.jobs.queue import Job, NewJob, Outcome, Paused, Retry, Waiting, claim, enqueue
from oms_chassis.jobs.settling import Call, Settlement
from oms_chassis.telemetry.metrics import Metrics


def test_a_job_that_was_given_up_is_listed_without_its_payload_and_retried(
    client: TestClient, database: Database, calls: Calls
) -> None:
    dead_job(database)
    (job,) = client.get("/admin/jobs?state=dead").json()
    assert (job["queue"], job["subject"], job["lastError"], job["dueAt"]) == ("calls", "a", "timeout", None)
    assert SECRET not in json.dumps(job)
    answer = client.post("/admin/jobs/retry", json={"queue": "calls", "id": "a:call"})
    assert (answer.json()["failedCalls"], answer.json()["deadAt"]) == (0, None)
    assert calls.redriven == ["a"]
    assert client.get("/admin/jobs?state=dead").json() == []
    assert audit(client) == [("jobs.retry", "calls a:call")]


def test_a_job_that_waits_for_its_next_call_can_be_made_due(client: TestClient, database: Database) -> None:
    with database.transaction() as transaction:
        enqueue(transaction, "money", [NewJob("a:charge", "a", {})])
        postpone(transaction, "money", [(job, Retry("busy")) for job in claim(transaction, "money", 10, 60.0)])
    database.execute("UPDATE job SET run_at = now() + interval '1 hour'")
    (job,) = client.get("/admin/jobs?subject=a").json()
    assert (job["state"], job["lastError"]) == ("failing", "busy")
    client.post("/admin/jobs/retry", json={"queue": "money", "id": "a:charge"})
    with database.transaction() as transaction:
        assert [job.id for job in claim(transaction, "money", 10, 60.0)] == ["a:charge"]


def test_a_job_whose_call_is_under_way_is_left_to_end(client: TestClient, database: Database) -> None:
    """If it became due, another worker would claim it at once, and a customer would get the mail twice."""
    with database.transaction() as transaction:
        enqueue(transaction, "calls", [NewJob("a:call", "a", {})])
        claim(transaction, "calls", 10, 20.0)
    answer = client.post("/admin/jobs/retry", json={"queue": "calls", "id": "a:call"})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/call-under-way")
    with database.transaction() as transaction:
        assert claim(transaction, "calls", 10, 20.0) == []
    database.execute("UPDATE job SET outcome = '{}'")  # it was made, and is only to be settled
    assert client.post("/admin/jobs/retry", json={"queue": "calls", "id": "a:call"}).status_code == 200
    assert audit(client) == [("jobs.retry", "calls a:call")]


NOT_OVER = (Waiting(5.0), Paused("login"), Retry("busy"))


@pytest.fixture
def waiting(database: Database, metrics: Metrics, calls: Calls, outcome: Outcome) -> Job:
    """A job whose second call has ended, and which is due for the next one within a lease."""
    queue = calls.queues[0]
    with database.transaction() as transaction:
        enqueue(transaction, "calls", [NewJob("a:call", "a", {"to": SECRET})])
        claim(transaction, "calls", 10, 0.0)  # its worker died
    with database.transaction() as transaction:
        (job,) = claim(transaction, "calls", 10, queue.lease_seconds)
    Settlement(queue, database, metrics).settle([Call(job, outcome)])
    return job


@pytest.mark.parametrize("outcome", NOT_OVER, ids=repr)
@pytest.mark.usefixtures("waiting")
def test_a_job_that_waits_for_its_next_call_is_made_due_however_soon_it_would_be(
    client: TestClient, database: Database
) -> None:
    assert client.post("/admin/jobs/retry", json={"queue": "calls", "id": "a:call"}).status_code == 200
    with database.transaction() as transaction:
        assert [job.attempts for job in claim(transaction, "calls", 10, 20.0)] == [3]
    assert client.post("/admin/jobs/retry", json={"queue": "calls", "id": "a:call"}).status_code == 409


@pytest.mark.parametrize("outcome", NOT_OVER, ids=repr)
@pytest.mark.usefixtures("waiting")
def test_a_job_that_was_cancelled_between_two_calls_can_be_retried_at_once(client: TestClient, calls: Calls) -> None:
    for act in ("cancel", "retry"):
        assert client.post(f"/admin/jobs/{act}", json={"queue": "calls", "id": "a:call"}).status_code == 200
    assert calls.redriven == ["a"]


@pytest.mark.parametrize("outcome", [*NOT_OVER, None], ids=repr)
def test_a_job_that_was_cancelled_during_its_call_can_be_retried_once_that_has_ended(
    client: TestClient, database: Database, metrics: Metrics, calls: Calls, outcome: Outcome | None
) -> None:
    chosen, queue = {"queue": "calls", "id": "a:call"}, calls.queues[0]
    with database.transaction() as transaction:
        enqueue(transaction, "calls", [NewJob("a:call", "a", {"to": SECRET})])
        (job,) = claim(transaction, "calls", 10, queue.lease_seconds)
    client.post("/admin/jobs/cancel", json=chosen)
    assert client.post("/admin/jobs/retry", json=chosen).status_code == 409
    if outcome is None:  # it has not begun, and is not to
        with database.transaction() as transaction:
            give_back(transaction, "calls", [job])
    else:
        Settlement(queue, database, metrics).settle([Call(job, outcome)])
    assert client.post("/admin/jobs/retry", json=chosen).status_code == 200
    assert calls.redriven == ["a"]


def test_a_call_that_is_under_way_after_patience_has_ended_is_left_to_end(
    client: TestClient, database: Database
) -> None:
    """It counts as a call that has failed a hundred times, and was made once."""
    with database.transaction() as transaction:
        enqueue(transaction, "money", [NewJob("a:charge", "a", {})])
    with database.transaction() as transaction:
        end_patience(transaction, "money", "a")
    with database.transaction() as transaction:
        claim(transaction, "money", 10, 20.0)
    answer = client.post("/admin/jobs/retry", json={"queue": "money", "id": "a:charge"})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/call-under-way")


def test_a_job_is_cancelled_as_if_it_had_been_given_up(client: TestClient, database: Database, calls: Calls) -> None:
    with database.transaction() as transaction:
        enqueue(transaction, "calls", [NewJob("a:call", "a", {"to": SECRET})])
    for _ in range(2):
        answer = client.post("/admin/jobs/cancel", json={"queue": "calls", "id": "a:call"})
        assert (answer.json()["state"], answer.json()["lastError"]) == ("dead", "cancelled by an operator")
    assert calls.given_up == [SECRET]


def test_a_job_that_was_cancelled_is_not_made_twice_while_its_call_is_under_way(
    client: TestClient, database: Database, calls: Calls
) -> None:
    chosen = {"queue": "calls", "id": "a:call"}
    with database.transaction() as transaction:
        enqueue(transaction, "calls", [NewJob("a:call", "a", {"to": SECRET})])
        under_way = claim(transaction, "calls", 10, 20.0)
    assert client.post("/admin/jobs/cancel", json=chosen).json()["state"] == "dead"
    with database.transaction() as transaction:
        renew(transaction, "calls", under_way, 10.0)
    (job,) = client.get("/admin/jobs?state=dead").json()
    assert datetime.fromisoformat(job["deadAt"]) <= datetime.now(UTC)
    answer = client.post("/admin/jobs/retry", json=chosen)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/call-under-way")
    assert calls.redriven == []
    database.execute("UPDATE job SET dead_at = dead_at - interval '10 seconds'")  # the end of its lease
    assert client.post("/admin/jobs/retry", json=chosen).status_code == 200
    assert calls.redriven == ["a"]


def test_a_job_that_moves_money_is_not_cancelled(client: TestClient, database: Database) -> None:
    with database.transaction() as transaction:
        enqueue(transaction, "money", [NewJob("a:charge", "a", {})])
    answer = client.post("/admin/jobs/cancel", json={"queue": "money", "id": "a:charge"})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/job-not-cancellable")


@pytest.mark.parametrize("act", ["retry", "cancel"])
def test_an_unknown_job_is_404(client: TestClient, act: str) -> None:
    for queue in ("calls", "none"):
        assert client.post(f"/admin/jobs/{act}", json={"queue": queue, "id": "none"}).status_code == 404


def test_jobs_are_listed_by_page(client: TestClient, database: Database) -> None:
    with database.transaction() as transaction:
        enqueue(transaction, "calls", [NewJob(one, one, {}) for one in "abc"])
    page = client.get("/admin/jobs?limit=2")
    assert [one["id"] for one in page.json()] == ["a", "b"]
    assert [one["id"] for one in client.get(page.links["next"]["url"]).json()] == ["c"]
