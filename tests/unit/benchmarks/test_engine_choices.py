"""Engines are named on the command line or suit the device; what can't be measured here says why."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

import pytest

from benchmarks import engine_choices
from benchmarks.engine_choices import NO_BF16, NO_GPU, EngineChoice, add_choice_options, choices


def parsed(*words: str) -> Namespace:
    parser = ArgumentParser()
    add_choice_options(parser)
    return parser.parse_args(words)


def test_named_backends_are_taken_on_every_device_in_fp32_if_nothing_else_is_said() -> None:
    options = parsed(
        "--backends", "torch:bf16, onnxruntime,onnxruntime:fp16:tensorrt", "--devices", "cpu,cuda"
    )
    assert [choice.name for choice in choices(options.backends, options.devices)] == [
        "torch bf16, cpu",
        "onnxruntime fp32, cpu",
        "onnxruntime fp16 tensorrt, cpu",
        "torch bf16, cuda",
        "onnxruntime fp32, cuda",
        "onnxruntime fp16 tensorrt, cuda",
    ]


def test_left_out_each_device_has_what_suits_it() -> None:
    options = parsed()
    named = [choice.name for choice in choices(options.backends, options.devices)]
    assert named[:2] == ["onnxruntime fp32, cpu", "torch fp32, cpu"]
    assert "onnxruntime fp16, cuda" in named
    assert "torch fp16, cpu" not in named


@pytest.mark.parametrize(
    "words",
    [
        ("--backends", "tensorflow"),
        ("--backends", "torch:int8"),
        ("--backends", "onnxruntime:fp32:coreml"),
        ("--backends", "torch:fp32:auto:more"),
        ("--devices", "tpu"),
    ],
)
def test_an_unknown_engine_is_refused(words: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(*words)
    assert words[1] in capsys.readouterr().err


def test_what_stands_in_the_way_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_choices, "has_gpu", lambda: False)
    monkeypatch.setattr(engine_choices, "has_bf16", lambda: False)
    assert EngineChoice("torch", "fp16", "cuda").obstacle() == NO_GPU
    assert EngineChoice("torch", "bf16", "cpu").obstacle() == NO_BF16
    assert EngineChoice("torch", "fp32", "cpu").obstacle() is None


def test_bf16_that_is_asked_for_is_measured_though_it_is_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_choices, "has_bf16", lambda: False)
    assert EngineChoice("torch", "bf16", "cpu", is_default=False).obstacle() is None
