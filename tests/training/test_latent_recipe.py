"""Which picture is which sample, and settings that no job can have."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.errors import RecipeError
from training.latent_recipe import LatentRecipe, epoch_order


def recipe(**settings: object) -> LatentRecipe:
    folders = {"photos": Path("p"), "autoencoder": Path("a"), "output": Path("o")}
    return LatentRecipe(**folders, **settings)  # type: ignore[arg-type]


def test_so_many_shards_hold_samples_of_any_pictures() -> None:
    plan = recipe(shards=3, size=10).shard_plan(7)
    assert (plan.shards, plan.samples) == (3, 30)
    assert [plan.rows(index) for index in range(3)] == [10, 10, 10]
    assert plan.picture(0, 0) is None


def test_copies_take_every_picture_so_many_times_before_any_comes_again() -> None:
    plan = recipe(copies=2, size=4).shard_plan(7)
    assert (plan.shards, plan.samples) == (4, 14)
    assert [plan.rows(index) for index in range(4)] == [4, 4, 4, 2]
    pictures = [plan.picture(shard, row) for shard in range(4) for row in range(plan.rows(shard))]
    assert sorted(pictures[:7]) == sorted(pictures[7:]) == list(range(7))  # type: ignore[type-var]
    assert pictures[:7] != pictures[7:]


def test_the_order_of_an_epoch_follows_the_seed_and_cannot_be_changed() -> None:
    assert epoch_order(50, 1, 2).tolist() == epoch_order(50, 1, 2).tolist()
    assert epoch_order(50, 1, 2).tolist() != epoch_order(50, 1, 3).tolist()
    with pytest.raises(ValueError, match="read-only"):
        epoch_order(50, 1, 2)[0] = 1


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "either 'shards' or 'copies'"),
        ({"shards": 1, "copies": 1}, "either 'shards' or 'copies'"),
        ({"shards": 1, "size": 0}, "size must be at least 1, not 0"),
        ({"shards": 1, "seed": -1}, "0 or more"),
        ({"shards": 1, "least_crop": 1.5}, "least_crop"),
        ({"shards": 1, "object_hole_probability": 0.9}, "at most 1 together, not 0.9 and 0.15"),
    ],
)
def test_settings_that_no_job_can_have_are_refused(settings: dict[str, float], reason: str) -> None:
    with pytest.raises(RecipeError, match=reason):
        recipe(**settings)


def test_online_latents_need_no_shards() -> None:
    assert recipe(mode="online").shards == 0
