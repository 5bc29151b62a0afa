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
    monkeypatch.setattr("service.worker_group.core_count", lambda: 8)
    assert [settings.threads for settings in worker_settings(Settings(models="a,b", workers=2))] == [2] * 4


def test_workers_without_devices_share_the_one_that_is_set() -> None:
    own = worker_settings(Settings(workers=3, device="cpu"))
    assert [settings.device for settings in own] == ["cpu"] * 3


@pytest.mark.parametrize(("workers", "threads"), [(1, 0), (2, 3), (4, 1), (7, 1), (64, 1)])
def test_the_cores_are_split_between_several_workers(
    workers: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.worker_group.core_count", lambda: 7)
    own = worker_settings(Settings(workers=workers))
    assert [settings.threads for settings in own] == [threads] * workers


def test_threads_that_are_set_are_those_of_each_worker() -> None:
    assert [settings.threads for settings in worker_settings(Settings(workers=2, threads=5))] == [5, 5]


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.worker_group.usable_cores", lambda: (0, 2, 1, 3))
    monkeypatch.setattr("service.worker_group.core_count", lambda: 4)


@pytest.mark.usefixtures("four_cores")
class TestCores:
    def test_several_workers_on_the_cpu_get_a_share_each(self) -> None:
        assert [settings.cores for settings in worker_settings(Settings(workers=2))] == ["0,2", "1,3"]

    def test_one_worker_has_them_all(self) -> None:
        assert [settings.cores for settings in worker_settings(Settings())] == ["auto"]

    def test_nobody_is_kept_from_cores_while_a_gpu_computes(self) -> None:
        own = worker_settings(Settings(devices="cuda:0,cpu"))
        assert [settings.cores for settings in own] == ["auto", "auto"]

    def test_cores_that_are_set_are_those_of_each_worker(self) -> None:
        assert [settings.cores for settings in worker_settings(Settings(workers=2, cores="all"))] == [
            "all"
        ] * 2

    def test_more_workers_than_cores_share_them_all(self) -> None:
        assert {settings.cores for settings in worker_settings(Settings(workers=5))} == {"auto"}

    def test_a_limit_on_time_is_no_share_of_cores(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("service.worker_group.core_count", lambda: 2)
        assert {settings.cores for settings in worker_settings(Settings(workers=2))} == {"auto"}
