"""Refusals name what is wrong with a request, and repeat nothing that was sent."""

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient
from support.things import SECRET, problem


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ({"id": SECRET, "quantity": 1}, "lines[0].id"),
        ({"id": "a", "quantity": SECRET + "x"}, "lines[0].quantity"),
        ({"id": "a", "quantity": 1, "more": SECRET}, "lines[0].more"),
        ({"quantity": 1}, "lines[0].id"),
        (SECRET, "lines[0]"),
    ],
)
def test_an_invalid_body_names_the_field_and_not_the_value(client: TestClient, line: Any, field: str) -> None:
    body = problem(client.post("/things", json={"lines": [line]}), 422, "invalid-request")
    assert [error["field"] for error in body["errors"]] == [field]


def test_broken_json_is_a_problem_of_its_own(client: TestClient) -> None:
    headers = {"Content-Type": "application/json"}
    problem(client.post("/things", content=f'{{"lines": {SECRET}', headers=headers), 400, "malformed-json")


def test_a_body_over_the_limit_is_refused_by_its_length(client: TestClient) -> None:
    problem(client.post("/things", content=b"x" * 1001), 413, "body-too-large")


def test_a_body_over_the_limit_is_refused_while_it_is_read(client: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(11):
            yield b"x" * 100

    problem(client.post("/things", content=chunks()), 413, "body-too-large")


@pytest.mark.parametrize("length", ["-1", "many"])
def test_a_length_that_is_not_a_number_is_refused(client: TestClient, length: str) -> None:
    problem(client.post("/things", content=b"", headers={"Content-Length": length}), 413, "body-too-large")


def test_invalid_query_parameters_and_headers_are_named(client: TestClient) -> None:
    body = problem(client.get("/things/1?limit=9", headers={"X-Size": "big"}), 422, "invalid-request")
    assert {error["field"] for error in body["errors"]} == {"limit", "x-size"}


def test_an_unknown_path_and_a_wrong_method_are_problems(client: TestClient) -> None:
    problem(client.get("/nothing"), 404, "not-found")
    problem(client.delete("/things"), 405, "method-not-allowed")


def test_a_wrong_method_is_answered_with_the_allowed_ones(client: TestClient) -> None:
    for path, allowed in (("/things", "OPTIONS, POST"), ("/things/1", "GET, HEAD, OPTIONS, PUT")):
        response = client.delete(path)
        problem(response, 405, "method-not-allowed")
        assert response.headers["allow"] == allowed


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/nowhere", 404), ("PUT", "/things", 405), ("PATCH", "/things", 405), ("POST", "/things/1", 405)],
)
@pytest.mark.parametrize(
    ("body", "media_type"), [("a=1", "application/x-www-form-urlencoded"), ("{", "application/json")]
)
def test_a_body_is_not_checked_if_no_route_takes_it(
    client: TestClient, method: str, path: str, status: int, body: str, media_type: str
) -> None:
    answer = client.request(method, path, content=body, headers={"Content-Type": media_type})
    problem(answer, status, "not-found" if status == 404 else "method-not-allowed")


def test_a_trailing_slash_is_not_found(client: TestClient) -> None:
    response = client.post("/things/", json={"lines": []}, headers={"Host": "evil.example"}, follow_redirects=False)
    problem(response, 404, "not-found")
    assert "location" not in response.headers


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("Limit=1", "Limit"),
        ("limit=1&page=" + SECRET, "page"),
        ("page", "page"),
        (SECRET + "=1", "?"),
        ("limit=1&limit=2", "limit"),
        ("limit=1&limit=", "limit"),
    ],
)
def test_an_unknown_or_repeated_parameter_is_refused(client: TestClient, query: str, field: str) -> None:
    body = problem(client.get(f"/things/1?{query}"), 422, "invalid-request")
    assert [error["field"] for error in body["errors"]] == [field]


def test_each_method_of_a_path_has_parameters_of_its_own(client: TestClient) -> None:
    assert client.get("/things/1?limit=2").json()["limit"] == 2
    assert client.put("/things/1?part=a").json() == {"part": "a"}
    problem(client.put("/things/1?limit=2"), 422, "invalid-request")
    problem(client.post("/things?limit=2", json={"lines": []}), 422, "invalid-request")
    problem(client.get("/nothing?limit=2"), 404, "not-found")
    assert client.get("/openapi.json?download=1").status_code == 200


def test_an_answer_names_only_the_first_of_very_many_mistakes(client: TestClient) -> None:
    errors = problem(client.post("/things", json={"lines": [{}] * 60}), 422, "invalid-request")["errors"]
    assert [error["field"] for error in errors] == [
        f"lines[{n}].{name}" for n in range(50) for name in ("id", "quantity")
    ]


def test_an_unknown_field_that_does_not_look_like_a_name_is_not_repeated(client: TestClient) -> None:
    body = problem(
        client.post("/things", json={"lines": [{"id": "a", "quantity": 1, SECRET: 1}]}), 422, "invalid-request"
    )
    assert [error["field"] for error in body["errors"]] == ["lines[0].?"]
