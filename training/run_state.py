"""Everything that a resumed run needs, whole on the CPU: one form for one process, DDP and FSDP, so that another
number of processes may go on with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from training.ema import ExponentialMovingAverage
from training.errors import CheckpointMismatch
from training.loop_recipe import LoopRecipe
from training.optimizers import Optimizers

WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)


def gathered_weights(network: nn.Module) -> dict[str, Any]:
    """The state dict of a network that may be sharded; every process must call this, all but the first get {}."""
    return get_model_state_dict(network, options=WHOLE)


def gathered_state(
    step: int, network: Any, average: ExponentialMovingAverage[Any], optimizers: Optimizers
) -> dict[str, Any]:
    """The state of a run after `step` steps; every process must call this, the first one's is whole."""
    average.gather()
    return {
        "step": step,
        "network": gathered_weights(network),
        "average": average.network.state_dict(),
        "updates": average.updates,
        "optimizers": get_optimizer_state_dict(network, optimizers.all, options=WHOLE),
        "config": network.config.to_dict(),
        "recipe": optimizers.recipe.fixed_settings(),
    }


def restore(
    state: dict[str, Any], network: nn.Module, average: ExponentialMovingAverage[Any], optimizers: Optimizers
) -> None:
    """Set everything to a gathered state that `refuse_mismatch` let pass."""
    set_optimizer_state_dict(network, optimizers.all, state["optimizers"], options=WHOLE)
    set_model_state_dict(network, state["network"], options=WHOLE)
    average.load(state["average"], state["updates"])


def refuse_mismatch(state: dict[str, Any], path: Path, network: Any, recipe: LoopRecipe) -> None:
    """Raise CheckpointMismatch, naming each setting that differs, unless the run of `state` is the recipe's."""
    if "recipe" not in state:
        raise CheckpointMismatch(
            f"{path} was written by an earlier version: its averaged weights can be used, but its run can't go on. "
            "Give the recipe another output folder."
        )
    here, there = network.config.to_dict(), state["config"]
    differences = recipe.differences(state["recipe"]) + [
        f"the network's {name} is {here.get(name)!r} here and was {there.get(name)!r}"
        for name in sorted(here.keys() | there.keys())
        if here.get(name) != there.get(name)
    ]
    if differences:
        raise CheckpointMismatch(
            f"{path} is of another run: {'; '.join(differences)}. "
            "Set the recipe back, or give it another output folder."
        )
