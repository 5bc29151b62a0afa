"""What a job costs and weighs in the fair order between clients; lua/submit.lua makes a start tag of it."""

from __future__ import annotations

from service.contracts import Params, Priority

WEIGHTS = {Priority.INTERACTIVE: 4.0, Priority.BATCH: 1.0}  # batch work is slowed, never starved


def cost_of(params: Params) -> float:
    """U-Net evaluations a crop: candidates x steps run x branches (two under guidance)."""
    branches = 2 if params.guidance_scale > 1 else 1
    return params.n * max(1.0, params.steps * params.strength) * branches
