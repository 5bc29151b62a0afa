"""Bad input: each row of the table is refused with a problem that says what is wrong and what is allowed.

One server answers all rows over one client, and a good request after each of them.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest

from service.errors import ERROR_TABLE
from service.settings import Settings
from tests.integration.edge.bad_input import HUGE, ROUTE, TABLE, Row, form
from tests.integration.edge.live_edge import FEW_STEP, SERVED, FlatWorker
from tests.integration.edge.pictures import SIZE, decode


@pytest.fixture(scope="module")
def worker(empty_queue_url: str, settings: Settings) -> Iterator[FlatWorker]:
    """It serves a few-step model too, which refuses what others take."""
    with FlatWorker(empty_queue_url, settings, models=(SERVED, FEW_STEP)) as flat:
        yield flat


def ask(client: httpx.Client, row: Row) -> httpx.Response:
    send = {**row.send, "headers": {**row.send.get("headers", {}), **row.headers}}
    return client.request(row.method, row.path, **send)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_bad_input_is_refused_with_what_was_wrong_and_the_service_goes_on(
    client: httpx.Client, row: Row
) -> None:
    answer = ask(client, row)
    assert answer.status_code == row.status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == row.code, problem
    assert problem["status"] == row.status
    assert problem["title"] == ERROR_TABLE[row.code].title
    for word in row.words:
        assert word.lower() in problem["detail"].lower(), problem["detail"]
    assert len(answer.content) < 2000
    good = client.post(ROUTE, **form())
    assert good.status_code == 200, good.text
    assert decode(good.content).size == SIZE


def test_a_header_field_beyond_all_measure_is_refused_as_a_problem(client: httpx.Client) -> None:
    with httpx.Client(base_url=client.base_url) as another:
        answer = another.get("/livez", headers={"X-Long": "a" * 200_000})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["status"], answer.json()["code"]) == (400, "malformed_http")
    assert "64 KiB" in answer.json()["detail"]
    assert client.post(ROUTE, **form()).status_code == 200


def test_a_wrong_method_is_told_all_methods_of_the_path(client: httpx.Client) -> None:
    assert client.put("/v1/jobs/x").headers["allow"] == "DELETE, GET"
    assert client.put("/docs").headers["allow"] == "GET"


def test_a_refused_upload_is_not_even_started_by_a_client_that_asks_first(client: httpx.Client) -> None:
    """curl sends `Expect: 100-continue` with large bodies and waits for leave to send them."""
    host, port = client.base_url.host, client.base_url.port
    assert port is not None
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(
            f"POST {ROUTE} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {HUGE}\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n".encode()
        )
        answer = connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_every_refusal_of_the_table_is_counted_by_its_code(client: httpx.Client) -> None:
    client.post(ROUTE, **form(steps=0))
    assert 'inpaint_rejected_total{reason="invalid_parameter"}' in client.get("/metrics").text
