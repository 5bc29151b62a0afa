"""Every contender runs on every case from the same noise, and its distances are those that are told."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.measuring import Spread
from benchmarks.sampler_cases import filled, levels_between, sampler_cases
from benchmarks.sampler_contenders import (
    CONTENDERS,
    FINE,
    OTHER_SPACINGS,
    REFERENCE,
    SERVED,
    SHOWN,
    SPACINGS,
    Contender,
    karras_timesteps,
)
from benchmarks.samplers import PHOTOS, Row, SamplersReport, markdown, measure_on
from service.contracts import Params, Sampler
from service.engine.dummy import DummyEngine
from service.engine.inpaint import sampling_table
from service.engine.sampler import alphas_cumprod
from service.settings import Settings

SIDE = 64


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[SamplersReport, Path]:
    sheet = tmp_path_factory.mktemp("sheet") / "pictures" / "samplers.png"
    options = Namespace(photos=PHOTOS, most=2, guidance=2.0, sheet=sheet)
    return measure_on(DummyEngine(Settings(), image_size=SIDE), options), sheet


def test_every_contender_is_measured_on_every_case(report: tuple[SamplersReport, Path]) -> None:
    measured, _ = report
    assert measured.cases == 2
    assert [row.contender for row in measured.rows] == CONTENDERS
    of = {row.contender: row for row in measured.rows}
    assert (of[REFERENCE].levels, of[REFERENCE].features, of[FINE].levels_to_fine) == (0, 0, 0)
    assert all(row.worst_levels >= row.levels for row in measured.rows)
    assert of[Contender.of(Sampler.DDIM, 50)[0]].levels < of[Contender.of(Sampler.DDIM, 8)[0]].levels


def test_the_sheet_has_the_holes_and_every_shown_contender(report: tuple[SamplersReport, Path]) -> None:
    with Image.open(report[1]) as sheet:
        assert sheet.size == (128 * (1 + len(SHOWN)), 14 + 2 * 128)


def test_a_contender_without_another_spacing_is_what_a_request_gets() -> None:
    info = DummyEngine(Settings()).info
    for contender in SERVED:
        params = Params(sampler=contender.sampler, steps=contender.steps, guidance_scale=2.0)
        assert contender.table(2.0, "epsilon") == sampling_table(info, params)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_a_spacing_has_as_many_falling_timesteps_as_steps(spacing: str) -> None:
    timesteps = SPACINGS[spacing](10)
    assert len(timesteps) == 10
    assert list(timesteps) == sorted(set(timesteps), reverse=True)


def test_the_noise_levels_of_karras_are_even_in_their_seventh_root() -> None:
    alphas = alphas_cumprod()[list(karras_timesteps(8))[:5]]  # later ones are far apart for whole timesteps
    roots = ((1 - alphas) / alphas) ** (1 / 14)
    assert np.diff(roots) == pytest.approx([np.diff(roots).mean()] * 4, rel=0.02)


def test_only_the_hole_is_filled_and_only_it_is_compared() -> None:
    case = next(iter(sampler_cases(PHOTOS, SIDE, 1)))
    one, other = np.zeros((3, SIDE, SIDE), np.float32), np.ones((3, SIDE, SIDE), np.float32)
    assert (filled(case, other)[case.hole] == 255).all()
    assert np.array_equal(filled(case, other)[~case.hole], case.photo[~case.hole])
    other[:, case.hole] = 2 / 255
    assert levels_between(case, one, other) == pytest.approx(1)


def test_the_tables_tell_what_requests_get_and_the_other_spacings() -> None:
    spread = Spread(1.0, 2.0, 3.0)
    rows = [Row(contender, 1.25, 2.5, 0.75, 0.0123, 0.5, spread) for contender in CONTENDERS]
    text = markdown(
        SamplersReport("m", "dummy fp32, cpu", "a machine", 2, "tiny-photos", 8, 2.0, rows), "the command"
    )
    served, others = text.split("## Other spacings of the timesteps")
    told = "| dpm-solver++ 8 | {} | 1.25 (2.50) | 0.75 | 0.0123 | 0.5000 | 2.00 (1.00 - 3.00) |"
    assert told.format("even in log-SNR") in served
    assert told.format("Karras") in others
    assert others.count("\n| d") == len(OTHER_SPACINGS)
