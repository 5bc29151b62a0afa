"""Who may do what: API keys, addresses, and jobs that only their own client can see."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import httpx
import pytest

from service.settings import Settings
from tests.integration.edge.live_edge import FlatWorker, running_edge, until
from tests.integration.edge.requests import FILES, status_of, submitted

ALICE, BOB = {"Authorization": "Bearer alices"}, {"Authorization": "Bearer bobs"}
KEYS = {name: hashlib.sha256(f"{name}s".encode()).hexdigest() for name in ("alice", "bob")}
OPEN_ROUTES = ("/livez", "/readyz", "/metrics", "/docs", "/openapi.json")
KEYED_ROUTES = (
    ("POST", "/v1/inpaint"),
    ("POST", "/v1/jobs"),
    ("GET", "/v1/models"),
    ("GET", "/v1/jobs/s0-0"),
    ("DELETE", "/v1/jobs/s0-0"),
    ("GET", "/v1/jobs/s0-0/result"),
    ("GET", "/v1/jobs/s0-0/events"),
    ("GET", "/v1/jobs/s0-0/mask"),
)
VIEWS = (("GET", ""), ("DELETE", ""), ("GET", "/result"), ("GET", "/events"), ("GET", "/mask"))


@pytest.fixture(scope="module")
def keyed(empty_queue_url: str, worker: FlatWorker) -> Iterator[httpx.Client]:
    """A client without a key, of an edge that asks for one."""
    with (
        running_edge(empty_queue_url, Settings(api_keys=KEYS)) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def behind_proxy(empty_queue_url: str, worker: FlatWorker) -> Iterator[httpx.Client]:
    """What a trusted proxy on this machine is to an edge."""
    settings = Settings(trusted_proxies=("127.0.0.1", "10.0.0.0/8"))
    with running_edge(empty_queue_url, settings) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.mark.parametrize(("method", "path"), KEYED_ROUTES)
@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer eves"}, {"Authorization": "Basic YWxpY2Vz"}]
)
def test_without_a_known_key_every_route_of_the_interface_is_closed(
    keyed: httpx.Client, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = keyed.request(method, path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "unauthenticated"
    assert 'inpaint_rejected_total{reason="unauthenticated"}' in keyed.get("/metrics").text


@pytest.mark.parametrize("path", OPEN_ROUTES)
def test_what_operators_ask_needs_no_key(keyed: httpx.Client, path: str) -> None:
    assert keyed.get(path).status_code == 200


def test_with_a_key_a_client_is_served_under_its_name(keyed: httpx.Client, worker: FlatWorker) -> None:
    assert keyed.post("/v1/inpaint", files=FILES, headers=ALICE).status_code == 200
    assert worker.claims[-1].job.client == "key:alice"
    assert len(keyed.get("/v1/models", headers=BOB).json()["models"]) == 1


def test_the_description_says_where_a_key_is_needed(keyed: httpx.Client, client: httpx.Client) -> None:
    document = keyed.get("/openapi.json").json()
    (name, scheme), *others = document["components"]["securitySchemes"].items()
    assert (scheme["type"], scheme["scheme"], others) == ("http", "bearer", [])
    secured = {
        (method, path): "security" in operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert all(needed == path.startswith(("/v1/", "/api/v1/")) for (_, path), needed in secured.items())
    assert document["paths"]["/v1/jobs"]["post"]["security"] == [{name: []}]
    assert "securitySchemes" not in client.get("/openapi.json").json()["components"]


@pytest.mark.parametrize(("method", "suffix"), VIEWS)
def test_a_job_is_seen_only_by_the_key_that_made_it(keyed: httpx.Client, method: str, suffix: str) -> None:
    keyed.headers.update(ALICE)
    try:
        job = submitted(keyed, effective_mask=True)
        until(lambda: status_of(keyed, job["id"]) == "succeeded")
        path = f"/v1/jobs/{job['id']}{suffix}"
        refused = keyed.request(method, path, headers=BOB)
        assert (refused.status_code, refused.json()["code"]) == (404, "job_not_found")
        assert keyed.request(method, path).status_code == 200
    finally:
        del keyed.headers["Authorization"]


def test_another_client_can_not_cancel_a_job(keyed: httpx.Client, worker: FlatWorker) -> None:
    with worker.held():
        job = keyed.post("/v1/jobs", files=FILES, headers=ALICE).json()
        assert keyed.delete(job["links"]["self"], headers=BOB).status_code == 404
        assert keyed.get(job["links"]["self"], headers=ALICE).json()["status"] in ("queued", "running")


def test_two_clients_may_use_the_same_idempotency_key(keyed: httpx.Client) -> None:
    ids = {
        keyed.post("/v1/jobs", files=FILES, headers={**who, "Idempotency-Key": "same"}).json()["id"]
        for who in (ALICE, BOB, ALICE)
    }
    assert len(ids) == 2


@pytest.mark.parametrize(("method", "suffix"), VIEWS)
def test_a_job_is_seen_only_from_the_address_that_made_it(
    behind_proxy: httpx.Client, method: str, suffix: str
) -> None:
    mine = {"X-Forwarded-For": "198.51.100.9, 203.0.113.7, 10.1.2.3"}
    others = {"X-Forwarded-For": "198.51.100.9, 203.0.113.7, 203.0.113.8, 10.1.2.3"}
    asked = {"effective_mask": "true"}
    job = behind_proxy.post("/v1/jobs", files=FILES, data=asked, headers=mine).json()
    until(lambda: behind_proxy.get(f"/v1/jobs/{job['id']}", headers=mine).json()["status"] == "succeeded")
    path = f"/v1/jobs/{job['id']}{suffix}"
    assert behind_proxy.request(method, path, headers=others).status_code == 404
    assert behind_proxy.request(method, path, headers=mine).status_code == 200


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ([], "address:127.0.0.1"),
        ([("X-Forwarded-For", "203.0.113.7")], "address:203.0.113.7"),
        ([("X-Forwarded-For", "203.0.113.7"), ("X-Forwarded-For", "10.0.0.1")], "address:203.0.113.7"),
        ([("X-Forwarded-For", "::ffff:203.0.113.7")], "address:203.0.113.7"),
        ([("X-Forwarded-For", "<script>")], "address:127.0.0.1"),
    ],
)
def test_a_trusted_proxy_says_whom_it_speaks_for(
    behind_proxy: httpx.Client, worker: FlatWorker, fields: list[tuple[str, str]], name: str
) -> None:
    behind_proxy.post("/v1/inpaint", files=FILES, headers=fields).raise_for_status()
    assert worker.claims[-1].job.client == name


def test_anybody_else_speaks_for_itself(client: httpx.Client, worker: FlatWorker) -> None:
    client.post("/v1/inpaint", files=FILES, headers={"X-Forwarded-For": "203.0.113.7"}).raise_for_status()
    assert worker.claims[-1].job.client == "address:127.0.0.1"
