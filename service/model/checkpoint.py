"""Reads and writes weights: safetensors, and the published pickled `.bin` (tensors only, never code).

Loading is strict: a network takes a state dict whose entries are exactly its own, or none of it.
"""

from __future__ import annotations

import pickle  # nosec B403  # for the error that torch raises; nothing is unpickled by it
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

NAMES_SHOWN = 8
SAFETENSORS = ".safetensors"

# Attention layers of an autoencoder as older releases of diffusers saved them.
_OLDER_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


class UnreadableCheckpoint(ValueError):
    """A file is no checkpoint: damaged, or of other things than tensors."""


class CheckpointMismatch(ValueError):
    """Entries are not the network's. The lists are attributes; the message shows the first of each."""

    def __init__(self, missing: Sequence[str], unexpected: Sequence[str], misshapen: Sequence[str]) -> None:
        self.missing = list(missing)
        self.unexpected = list(unexpected)
        self.misshapen = list(misshapen)
        kinds = {"missing": missing, "unexpected": unexpected, "wrongly shaped": misshapen}
        parts = [f"{len(names)} {kind}: {_first(names)}" for kind, names in kinds.items() if names]
        super().__init__("the checkpoint does not fit the network; " + "; ".join(parts))


def _first(names: Sequence[str]) -> str:
    hidden = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {hidden} more" if hidden > 0 else "")


def read_state(path: Path) -> dict[str, Tensor]:
    """Read a state dict from `.safetensors`, or else from a pickle restricted to tensors, onto the CPU.

    `UnreadableCheckpoint` if the file is neither; `FileNotFoundError` if there is none.
    """
    try:
        if path.suffix == SAFETENSORS:
            state: object = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, EOFError, RuntimeError, ValueError) as error:
        is_pickle = isinstance(error, pickle.UnpicklingError)  # torch advises to run the code in it
        reason = "it is damaged or holds more than tensors" if is_pickle else str(error).partition("\n")[0]
        raise UnreadableCheckpoint(f"{path} is no readable checkpoint, fetch it again: {reason}") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UnreadableCheckpoint(f"{path} must hold one flat mapping of names to tensors")
    return state


def load_strictly(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Copy `state` into the network, or raise `CheckpointMismatch` and leave the network as it was."""
    own = network.state_dict()
    missing = [name for name in own if name not in state]
    unexpected = [name for name in state if name not in own]
    misshapen = [
        f"{name} (expected {list(own[name].shape)}, got {list(value.shape)})"
        for name, value in state.items()
        if name in own and own[name].shape != value.shape
    ]
    if missing or unexpected or misshapen:
        raise CheckpointMismatch(missing, unexpected, misshapen)
    network.load_state_dict(state)


def modernize_attention_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give an autoencoder's attention entries their present names; other entries stay as they are."""
    return {_modern_name(name): value for name, value in state.items()}


def _modern_name(name: str) -> str:
    head, separator, layer_and_kind = name.partition(".attentions.0.")
    layer, dot, kind = layer_and_kind.partition(".")
    return head + separator + _OLDER_NAMES.get(layer, layer) + dot + kind
