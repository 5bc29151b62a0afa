"""Every knob of the service: its meaning, unit, default and environment name (`MOEBIUS_` + the field's name)."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.contracts import MAX_PIXELS, MAX_UPLOAD_BYTES
from service.cores import format_cores, parse_cores

DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]{1,3})?")
KEY_DIGEST = re.compile(r"[0-9a-f]{64}")
# What may hold a password or, by mistake, a key in the clear: no message repeats their values.
SECRET = frozenset({"api_keys", "otlp_endpoint", "redis_url"})


def default_model_store() -> Path:
    """The store beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).resolve().parent
    beside = package.parent / "model_store"
    return beside if beside.is_dir() else package / "model_store"


class Settings(BaseSettings):
    """Read from the environment; command line options override single fields."""

    model_config = SettingsConfigDict(
        env_prefix="MOEBIUS_", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8080, ge=0, le=65_535, description="HTTP port; 0 takes a free one.")
    grpc_port: int = Field(default=50051, ge=0, le=65_535, description="gRPC port; 0 takes a free one.")
    metrics_port: int = Field(
        default=9100,
        ge=0,
        le=65_535,
        description="A worker's own port, for /metrics, /livez and /readyz; 0 takes a free one.",
    )

    api_keys: dict[str, str] = Field(
        default_factory=dict,
        repr=False,
        description='Names of clients and the sha256 of their bearer keys, as JSON: {"alice": "9f86..."}. '
        "Left out, nobody needs a key, and a client is its address.",
    )
    trusted_proxies: tuple[str, ...] = Field(
        default=(),
        description="Networks of proxies, as JSON, whose X-Forwarded-For is believed: "
        '["10.0.0.0/8", "127.0.0.1"].',
    )

    redis_url: str | None = Field(
        default=None,
        repr=False,
        description="The queue: Redis >= 7 or Valkey >= 8. Left out, `moebius serve` starts a Valkey of its own. "
        "An address with a password belongs in the environment, since `ps` shows options.",
    )
    state_dir: Path = Field(
        default=Path("~/.local/state/moebius").expanduser(),
        description="Folder of the embedded queue's append-only file.",
    )
    embedded_memory: int = Field(
        default=4 * 1024**3, gt=0, description="Bytes that the embedded queue's server may hold."
    )
    queue_shards: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="Parts of the queue, each in one slot of a cluster; the same for all edges and workers.",
    )

    model_store: Path = Field(default_factory=default_model_store, description="One folder a model.")
    cache_dir: Path = Field(
        default=Path("~/.cache/moebius").expanduser(),
        description="Folder for what a worker computes once for this machine and may lose: optimised graphs, engines.",
    )
    model: str = Field(
        default="moebius-nano", description="Model that a worker loads and requests default to."
    )
    models: str = Field(
        default="",
        description="Models that `moebius serve` serves, separated by commas, each by workers of its own; the first "
        "is the default. Left out, `model` alone.",
    )
    sleeping_models: str = Field(
        default="",
        description="Models that an edge takes requests for also while no worker serves them, separated by commas, as "
        "something starts a worker when work waits. Such a model is known once a worker has served it.",
    )
    backend: Literal["auto", "onnxruntime", "torch", "dummy"] = Field(
        default="auto", description="What runs the model: auto, onnxruntime, torch or dummy."
    )
    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:N.")
    workers: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Workers that `moebius serve` starts for each model; one for each of `devices`.",
    )
    devices: str = Field(
        default="",
        description="Their devices, one each, separated by commas: cuda:0,cuda:1,cpu. Left out, all take "
        "`device`, which for cuda and auto may be one GPU that they share.",
    )
    precision: Literal["auto", "fp32", "fp16", "bf16"] = Field(
        default="auto", description="Numbers to compute with: auto, fp32, fp16 or bf16."
    )
    provider: Literal["auto", "cpu", "cuda", "tensorrt", "openvino"] = Field(
        default="auto",
        description="What ONNX Runtime computes with: cpu, cuda, tensorrt, openvino, or auto: cuda on GPUs, else cpu.",
    )
    threads: int = Field(
        default=0,
        ge=0,
        description="CPU threads of an engine; 0: all cores that we may use, split evenly between the workers "
        "of `moebius serve`.",
    )
    cores: str = Field(
        default="auto",
        description="CPU cores that a worker stays on, 0-3,8 say; all: any of those that we may use; auto: the same, "
        "but several workers of `moebius serve` that compute on the CPU get a share each. Linux only.",
    )
    max_batch: int = Field(
        default=8,
        ge=1,
        le=64,
        description="Most places in the running batch; what was measured may allow less.",
    )
    batching: Literal["step", "request"] = Field(
        default="step",
        description="step: a request joins at the next denoising step; request: whole requests only, to compare.",
    )
    overlap: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="Whether pictures are encoded and decoded by the VAE while others take steps: on, off, or auto: on "
        "GPUs. Off, all wait for it.",
    )
    picture_threads: int = Field(
        default=2,
        ge=1,
        le=64,
        description="Threads of a worker that decode pictures, and as many that encode.",
    )
    dummy_step_seconds: float = Field(
        default=0.0, ge=0, description="Seconds that the dummy backend takes for a step, whatever its batch."
    )
    dummy_item_seconds: float = Field(
        default=0.0, ge=0, description="Seconds that the dummy backend adds for each item of a step."
    )

    max_upload_bytes: int = Field(
        default=MAX_UPLOAD_BYTES, gt=0, description="Bytes of a request's body; base64 in JSON counts."
    )
    upload_patience: float = Field(
        default=20.0, gt=0, description="Seconds without a byte after which an HTTP upload is given up."
    )
    max_pixels: int = Field(default=MAX_PIXELS, gt=0, description="Pixels of a picture.")
    max_queued_jobs: int = Field(default=1000, gt=0, description="Jobs waiting or running before 429.")
    max_queued_bytes: int = Field(default=2 * 1024**3, gt=0, description="Payload bytes waiting before 429.")
    max_client_share: float = Field(
        default=0.5, gt=0, le=1, description="Part of these jobs and bytes that one client may have."
    )

    sync_timeout: float = Field(
        default=120.0, gt=0, description="Seconds; deadline of a synchronous request."
    )
    async_timeout: float = Field(
        default=3600.0, gt=0, description="Seconds; deadline of an asynchronous job."
    )
    result_ttl: float = Field(default=3600.0, gt=0, description="Seconds that a result is kept.")
    lease: float = Field(
        default=15.0, gt=0, description="Seconds after which a silent worker loses its jobs."
    )
    renew_every: float = Field(default=4.0, gt=0, description="Seconds between lease renewals.")
    drain_timeout: float = Field(
        default=30.0, ge=0, description="Seconds to finish running work at shutdown."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="debug, info, warning or error."
    )
    otlp_endpoint: str = Field(
        default="",
        repr=False,
        description="Where traces go: the base address of an OTLP/HTTP collector, http://collector:4318 say. Left "
        "out, no traces are made.",
    )

    @field_validator("otlp_endpoint")
    @classmethod
    def _is_a_base_address(cls, endpoint: str) -> str:
        parts = urlsplit(endpoint)
        if endpoint and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query):
            raise PydanticCustomError(
                "otlp_endpoint",
                "it must be an http or https address such as http://collector:4318; /v1/traces is added to it",
            )
        return endpoint

    @field_validator("device")
    @classmethod
    def _is_a_device(cls, device: str) -> str:
        if not DEVICE.fullmatch(device):
            raise PydanticCustomError(
                "device", "it must be auto, cpu, cuda or cuda:N, N being the number of a GPU from 0"
            )
        return device

    @field_validator("cores")
    @classmethod
    def _are_cores(cls, cores: str) -> str:
        try:
            return cores if cores in {"auto", "all"} else format_cores(parse_cores(cores))
        except ValueError as error:
            raise PydanticCustomError(
                "cores", "it must be auto, all, or numbers of cores and ranges of them, such as 0-3,8"
            ) from error

    @field_validator("devices")
    @classmethod
    def _are_devices(cls, devices: str) -> str:
        for device in devices.split(",") if devices else ():
            cls._is_a_device(device.strip())
        return devices

    @model_validator(mode="after")
    def _count_a_worker_a_device(self) -> Self:
        if self.devices and "workers" in self.model_fields_set and self.workers != len(self.worker_devices):
            raise PydanticCustomError(
                "workers",
                "workers is {workers}, but devices names {devices}: {names}. Each worker has one device: "
                "leave workers out, or name as many devices.",
                {"workers": self.workers, "devices": len(self.worker_devices), "names": self.devices},
            )
        return self

    @model_validator(mode="after")
    def _default_to_the_first_of_models(self) -> Self:
        if "" in self.served_models or len(set(self.served_models)) < len(self.served_models):
            raise PydanticCustomError(
                "models", "models must be names, each once, separated by commas: moebius-nano,moebius-places2"
            )
        if self.models and "model" in self.model_fields_set and self.model != self.served_models[0]:
            raise PydanticCustomError(
                "model",
                "model is {model}, but models begins with {first}, which is the default then. Leave model out, or "
                "put it first.",
                {"model": self.model, "first": self.served_models[0]},
            )
        return self

    @property
    def served_models(self) -> tuple[str, ...]:
        """The models that `moebius serve` serves, the default first."""
        return tuple(name.strip() for name in self.models.split(",")) if self.models else (self.model,)

    @property
    def sleeping_names(self) -> tuple[str, ...]:
        """The models that may sleep."""
        return tuple(name for part in self.sleeping_models.split(",") if (name := part.strip()))

    @property
    def worker_devices(self) -> tuple[str, ...]:
        """The device of each worker of a model that `moebius serve` starts."""
        if self.devices:
            return tuple(device.strip() for device in self.devices.split(","))
        return (self.device,) * self.workers

    @field_validator("api_keys")
    @classmethod
    def _are_digests(cls, keys: dict[str, str]) -> dict[str, str]:
        for name, digest in keys.items():
            if not name or not KEY_DIGEST.fullmatch(digest):
                raise PydanticCustomError(
                    "api_key",
                    "each client needs a name and the sha256 of its key in 64 lower-case hexadecimal digits",
                )
        return keys

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            try:
                ip_network(network)
            except ValueError as error:
                raise PydanticCustomError(
                    "network", "each must be an address or a network such as 10.0.0.0/8"
                ) from error
        return networks
