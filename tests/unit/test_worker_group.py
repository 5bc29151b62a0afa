"""What each worker of `moebius serve` gets."""

from __future__ import annotations

import pytest

from service.settings import Settings
from service.worker_group import worker_settings


def test_each_worker_has_the_device_of_its_place() -> None:
    own = worker_settings(Settings(devices="cuda:0, cuda:1,cpu"))
    assert [settings.device for settings in own] == ["cuda:0", "cuda:1", "cpu"]
    assert {(settings.workers, settings.devices) for settings in own} == {(1, "")}


def test_each_model_has_workers_of_its_own_on_every_device() -> None:
    own = worker_settings(Settings(models="a, b", devices="cuda:0,cpu", threads=1))
    assert [(settings.model, settings.device) for settings in own] == [
        ("a", "cuda:0"),
        ("a", "cpu"),
        ("b", "cuda:0"),
        ("b", "cpu"),
    ]
    assert {settings.models for settings in own} == {""}


def test_the_cores_are_split_between_the_workers_of_all_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.worker_group._usable_cores", lambda: 8)
    assert [settings.threads for settings in worker_settings(Settings(models="a,b", workers=2))] == [2] * 4


def test_workers_without_devices_share_the_one_that_is_set() -> None:
    own = worker_settings(Settings(workers=3, device="cpu"))
    assert [settings.device for settings in own] == ["cpu"] * 3


@pytest.mark.parametrize(("workers", "threads"), [(1, 0), (2, 3), (4, 1), (7, 1), (64, 1)])
def test_the_cores_are_split_between_several_workers(
    workers: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.worker_group._usable_cores", lambda: 7)
    own = worker_settings(Settings(workers=workers))
    assert [settings.threads for settings in own] == [threads] * workers


def test_threads_that_are_set_are_those_of_each_worker() -> None:
    assert [settings.threads for settings in worker_settings(Settings(workers=2, threads=5))] == [5, 5]
