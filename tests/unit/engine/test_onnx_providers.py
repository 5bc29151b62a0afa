"""What the settings ask for, and what ONNX Runtime is told: no GPU is needed to say it."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest

from service.engine import onnx_providers
from service.engine.onnx_providers import RUNTIME_NAMES, InputRange, Provider
from service.errors import ArtifactError
from service.settings import Settings

INPUTS = InputRange({"x": (1, 4, 8, 8), "source": (1,)}, {"x": (4, 4, 8, 8), "source": (8,)})


@pytest.fixture
def everything_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: list(RUNTIME_NAMES.values()))
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    monkeypatch.setattr(onnx_providers, "_has_cuda_device", lambda: True)


def chosen(**settings: str) -> Provider:
    return Provider.chosen_by(Settings.model_validate(settings))


def options_of(provider: Provider, *, captures: bool = False) -> list[tuple[str, dict[str, str]]]:
    return provider.with_options(programs=Path("/kept"), threads=3, inputs=INPUTS, captures=captures)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ("cuda", "cuda", "fp16")),
        ({"device": "cpu"}, ("cpu", "cpu", "fp32")),
        ({"device": "cuda:1"}, ("cuda", "cuda:1", "fp16")),
        ({"device": "cuda", "precision": "fp32"}, ("cuda", "cuda", "fp32")),
        ({"provider": "cpu"}, ("cpu", "cpu", "fp32")),
        ({"provider": "tensorrt"}, ("tensorrt", "cuda", "fp16")),
        ({"provider": "openvino"}, ("openvino", "cpu", "fp32")),
        ({"device": "cpu", "precision": "fp16"}, ("cpu", "cpu", "fp16")),
    ],
)
@pytest.mark.usefixtures("everything_installed")
def test_settings_choose_provider_device_and_precision(
    settings: dict[str, str], expected: tuple[str, str, str]
) -> None:
    provider = chosen(**settings)
    assert (provider.name, provider.device, provider.precision) == expected


def test_auto_is_the_cpu_where_there_is_no_gpu() -> None:
    assert chosen() == Provider("cpu", "cpu", "fp32")


@pytest.mark.parametrize(
    "settings",
    [
        {"provider": "cuda", "device": "cpu"},
        {"provider": "tensorrt", "device": "cpu"},
        {"provider": "cpu", "device": "cuda"},
        {"provider": "openvino", "device": "cuda:0"},
    ],
)
@pytest.mark.usefixtures("everything_installed")
def test_a_provider_on_a_device_that_is_not_its_own_is_refused(settings: dict[str, str]) -> None:
    with pytest.raises(ArtifactError, match="does not compute on device"):
        chosen(**settings)


@pytest.mark.parametrize(
    ("provider", "hint"),
    [("cuda", r"moebius\[gpu\]"), ("tensorrt", "and tensorrt"), ("openvino", "onnxruntime-openvino")],
)
def test_a_provider_that_is_not_installed_is_named_with_the_way_to_get_it(provider: str, hint: str) -> None:
    with pytest.raises(ArtifactError, match=hint):
        chosen(provider=provider)


def test_the_cpu_is_told_nothing() -> None:
    assert options_of(Provider("cpu", "cpu", "fp32")) == [("CPUExecutionProvider", {})]


def test_cuda_comes_before_the_cpu_and_rounds_to_tf32_only_where_half_precision_is_allowed() -> None:
    (half_name, half), last = options_of(Provider("cuda", "cuda:2", "fp16"), captures=True)
    (_, full), _ = options_of(Provider("cuda", "cuda", "fp32"))
    assert (half_name, last) == ("CUDAExecutionProvider", ("CPUExecutionProvider", {}))
    assert (half["device_id"], full["device_id"]) == ("2", "0")
    assert (half["use_tf32"], full["use_tf32"]) == ("1", "0")
    assert (half["enable_cuda_graph"], full["enable_cuda_graph"]) == ("1", "0")
    assert half["arena_extend_strategy"] == "kSameAsRequested"


def test_tensorrt_keeps_its_engines_and_builds_one_for_all_batch_sizes() -> None:
    (name, options), (second, _), (third, _) = options_of(Provider("tensorrt", "cuda", "fp16"))
    assert (name, second, third) == (
        "TensorrtExecutionProvider",
        "CUDAExecutionProvider",
        "CPUExecutionProvider",
    )
    assert options["trt_engine_cache_enable"] == options["trt_fp16_enable"] == "1"
    assert options["trt_engine_cache_path"] == options["trt_timing_cache_path"] == "/kept"
    assert options["trt_profile_min_shapes"] == "x:1x4x8x8,source:1"
    assert options["trt_profile_max_shapes"] == options["trt_profile_opt_shapes"] == "x:4x4x8x8,source:8"


def test_openvino_computes_in_full_precision_on_as_many_threads_as_it_is_given() -> None:
    (name, options), _ = options_of(Provider("openvino", "cpu", "fp32"))
    assert name == "OpenVINOExecutionProvider"
    assert options == {
        "device_type": "CPU",
        "precision": "FP32",
        "num_of_threads": "3",
        "cache_dir": "/kept",
    }


def test_a_gpus_tensors_lie_in_its_own_memory() -> None:
    assert Provider("cuda", "cuda:3", "fp16").memory == ("cuda", 3)
    assert Provider("tensorrt", "cuda", "fp16").memory == ("cuda", 0)
    assert Provider("openvino", "cpu", "fp32").memory == ("cpu", 0)


def test_a_provider_that_is_not_a_devices_usual_one_is_told_with_the_backend() -> None:
    assert Provider("cuda", "cuda", "fp16").backend == "onnxruntime"
    assert Provider("tensorrt", "cuda", "fp16").backend == "onnxruntime/tensorrt"
