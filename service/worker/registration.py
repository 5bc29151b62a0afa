"""What a worker says of itself to the queue: its model, and what it measures."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import replace

from service.artifacts import load_manifest, model_folder
from service.contracts import ServedModel, WorkerRegistration
from service.engine.base import Engine
from service.settings import Settings
from service.worker.live_profile import LiveProfile
from service.worker.profile import BatchProfile

DIGITS = 2  # of the VAE's cost, which changes with every measurement


def registration_of(settings: Settings, engine: Engine, profile: BatchProfile) -> WorkerRegistration:
    """What this process says of itself; the id is unique a process start."""
    info = engine.info
    model = ServedModel(
        name=info.model,
        image_size=info.image_size,
        backend=info.backend,
        device=info.device,
        precision=info.precision,
        sha256=_model_digest(settings, info.backend),
        default_steps=info.default_steps,
        allowed_steps=info.allowed_steps,
        guidance_scale=info.guidance_scale,
    )
    worker_id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    registration = WorkerRegistration(worker_id, (model,), places=settings.max_batch)
    return restated(registration, LiveProfile(profile, settings.max_batch).current)


def restated(registration: WorkerRegistration, profile: BatchProfile) -> WorkerRegistration:
    """The registration with what is measured now."""
    vae_cost = float(f"{profile.vae_cost:.{DIGITS}g}")
    return replace(
        registration,
        models=tuple(replace(model, vae_cost=vae_cost) for model in registration.models),
        places=profile.cap,
        throughput=profile.throughput,
        step_seconds=profile.expected_step(1),
    )


def _model_digest(settings: Settings, backend: str) -> str:
    if backend == "dummy":
        return ""
    return load_manifest(model_folder(settings.model_store, settings.model)).digest
