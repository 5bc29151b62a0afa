"""Every knob of the service: its meaning, unit, default and environment name (`MOEBIUS_` + the field's name)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.contracts import MAX_PIXELS, MAX_UPLOAD_BYTES

DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]{1,3})?")


def default_model_store() -> Path:
    """The store beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).resolve().parent
    beside = package.parent / "model_store"
    return beside if beside.is_dir() else package / "model_store"


class Settings(BaseSettings):
    """Read from the environment; command line options override single fields."""

    model_config = SettingsConfigDict(env_prefix="MOEBIUS_", extra="ignore", frozen=True)

    host: str = Field(default="127.0.0.1", description="Address that the HTTP edge listens on.")
    port: int = Field(default=8080, ge=0, le=65_535, description="HTTP port; 0 takes a free one.")
    metrics_port: int = Field(
        default=9100, ge=0, le=65_535, description="A worker's own port; 0 takes a free one."
    )

    redis_url: str | None = Field(
        default=None, description="Redis >= 7 or Valkey >= 8; left out, an embedded Valkey server is started."
    )
    state_dir: Path = Field(
        default=Path("~/.local/state/moebius").expanduser(),
        description="Folder of the embedded queue's append-only file.",
    )

    model_store: Path = Field(default_factory=default_model_store, description="One folder a model.")
    model: str = Field(
        default="moebius-nano", description="Model that a worker loads and requests default to."
    )
    backend: Literal["auto", "onnxruntime", "torch", "dummy"] = "auto"
    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:N.")
    precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    threads: int = Field(
        default=0, ge=0, description="CPU threads of an engine; 0: all cores that we may use."
    )
    max_batch: int = Field(default=8, ge=1, le=64, description="Places in the running batch.")

    max_upload_bytes: int = Field(
        default=MAX_UPLOAD_BYTES, gt=0, description="Bytes of a request's body; base64 in JSON counts."
    )
    max_pixels: int = Field(default=MAX_PIXELS, gt=0, description="Pixels of a picture.")
    max_queued_jobs: int = Field(default=1000, gt=0, description="Jobs waiting or running before 429.")
    max_queued_bytes: int = Field(default=2 * 1024**3, gt=0, description="Payload bytes waiting before 429.")

    sync_timeout: float = Field(
        default=120.0, gt=0, description="Seconds; deadline of a synchronous request."
    )
    result_ttl: float = Field(default=3600.0, gt=0, description="Seconds that a result is kept.")
    lease: float = Field(
        default=15.0, gt=0, description="Seconds after which a silent worker loses its jobs."
    )
    renew_every: float = Field(default=4.0, gt=0, description="Seconds between lease renewals.")
    drain_timeout: float = Field(
        default=30.0, ge=0, description="Seconds to finish running work at shutdown."
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("device")
    @classmethod
    def _is_a_device(cls, device: str) -> str:
        if not DEVICE.fullmatch(device):
            raise PydanticCustomError(
                "device", "it must be auto, cpu, cuda or cuda:N, N being the number of a GPU from 0"
            )
        return device
