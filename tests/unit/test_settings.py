"""What the settings refuse."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from service.settings import SECRET, Settings


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:12"])
def test_a_device_that_engines_know_is_taken(device: str) -> None:
    assert Settings(device=device).device == device


@pytest.mark.parametrize(
    "device", ["", "foo", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:0\n", "CUDA", "cpu:1"]
)
def test_any_other_device_is_refused_with_those_allowed(device: str) -> None:
    with pytest.raises(ValidationError, match="must be auto, cpu, cuda or cuda:N"):
        Settings(device=device)


def test_a_device_of_the_environment_is_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOEBIUS_DEVICE", "foo")
    with pytest.raises(ValidationError, match="must be auto, cpu, cuda or cuda:N"):
        Settings()


@pytest.mark.parametrize(
    ("devices", "each"), [("cpu", ("cpu",)), ("cuda:0, cuda:1,cpu", ("cuda:0", "cuda:1", "cpu"))]
)
def test_there_is_a_worker_for_each_device(devices: str, each: tuple[str, ...]) -> None:
    assert Settings(devices=devices).worker_devices == each
    assert Settings(devices=devices, workers=len(each)).worker_devices == each


def test_workers_without_devices_have_that_of_the_settings() -> None:
    assert Settings(workers=2, device="cpu").worker_devices == ("cpu", "cpu")


@pytest.mark.parametrize("workers", [1, 3])
def test_another_number_of_workers_than_of_devices_is_refused(workers: int) -> None:
    with pytest.raises(ValidationError, match=f"workers is {workers}, but devices names 2: cpu,cuda"):
        Settings(devices="cpu,cuda", workers=workers)


@pytest.mark.parametrize("devices", ["cpu,", ",", "cpu,,cpu", "cpu;cuda", "cpu,gpu"])
def test_a_list_with_something_else_than_devices_is_refused(devices: str) -> None:
    with pytest.raises(ValidationError, match="must be auto, cpu, cuda or cuda:N"):
        Settings(devices=devices)


@pytest.mark.parametrize(
    ("settings", "served"),
    [
        (Settings(), ("moebius-nano",)),
        (Settings(model="b"), ("b",)),
        (Settings(models="a, b"), ("a", "b")),
        (Settings(models="a,b", model="a"), ("a", "b")),
    ],
)
def test_the_served_models_are_those_named_with_the_default_first(
    settings: Settings, served: tuple[str, ...]
) -> None:
    assert settings.served_models == served


@pytest.mark.parametrize("models", ["a,", ",", "a,,b", "a,b,a"])
def test_a_list_with_something_else_than_models_is_refused(models: str) -> None:
    with pytest.raises(ValidationError, match="must be names, each once"):
        Settings(models=models)


def test_a_default_that_is_not_the_first_of_the_models_is_refused() -> None:
    with pytest.raises(ValidationError, match="model is b, but models begins with a"):
        Settings(model="b", models="a,b")


def test_values_with_parts_are_json_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOEBIUS_API_KEYS", '{"alice": "' + "a" * 64 + '"}')
    monkeypatch.setenv("MOEBIUS_TRUSTED_PROXIES", '["10.0.0.0/8", "::1"]')
    settings = Settings()
    assert settings.api_keys == {"alice": "a" * 64}
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1")


@pytest.mark.parametrize("digest", ["", "a" * 63, "A" * 64, "secret"])
def test_a_key_in_the_clear_is_refused(digest: str) -> None:
    with pytest.raises(ValidationError, match="the sha256 of its key in 64"):
        Settings(api_keys={"alice": digest})


def test_a_proxy_that_is_no_network_is_refused() -> None:
    with pytest.raises(ValidationError, match="an address or a network"):
        Settings(trusted_proxies=("proxy.example",))


def test_no_secret_is_in_what_a_traceback_or_a_log_may_show() -> None:
    settings = Settings(redis_url="redis://:hidden@queue", otlp_endpoint="http://:hidden@collector")
    assert "hidden" not in repr(settings)
    with pytest.raises(ValidationError) as caught:
        Settings(api_keys={"alice": "hidden"})
    assert "hidden" not in str(caught.value)


def test_every_setting_that_is_secret_exists() -> None:
    assert Settings.model_fields.keys() >= SECRET
