"""What a job costs and weighs in the fair order between clients; lua/submit.lua makes a start tag of it."""

from __future__ import annotations

from service.contracts import Params, Priority

WEIGHTS = {Priority.INTERACTIVE: 4.0, Priority.BATCH: 1.0}  # batch work is slowed, never starved
# Of encoding and decoding one crop, in evaluations of the U-Net, of a model whose workers have not told what they
# measured: those of an earlier version.
VAE_COST = 2.0


def cost_of(params: Params, places: int, *, distilled: bool = False, vae_cost: float | None = None) -> float:
    """U-Net evaluations: places (crops x candidates) x (steps run x branches, two under guidance, + VAE).

    One branch where guidance is `distilled` into the model; `vae_cost` is what the model's workers have measured, None
    where they have not. `ValueError` where steps or guidance are still open.
    """
    if params.guidance_scale is None:
        raise ValueError("guidance_scale is still open: the model's own comes first")
    branches = 2 if params.guidance_scale > 1 and not distilled else 1
    return places * (params.steps_run * branches + (VAE_COST if vae_cost is None else vae_cost))
