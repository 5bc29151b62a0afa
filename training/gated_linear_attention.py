"""Gated linear attention (Yang et al. 2024, arXiv 2312.06635): the teacher's self-attention.

By the flash-linear-attention package on a GPU that has it, else chunk by chunk in PyTorch.
"""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Inside a chunk every pair of positions is met; between chunks one state is handed on.
CHUNK = 16
GATE_LOGIT_DIVISOR = 16
GATE_RANK = 16
NORM_EPS = 1e-6


def recurrent_gated_attention(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    """The definition, position by position: S_t = diag(exp(g_t)) S_{t-1} + k_t v_t^T, o_t = q_t S_t / sqrt(K).

    `q`, `k`, `log_decay` [B, H, n, K], `v` [B, H, n, V] -> [B, H, n, V]. Slow: what the others are tested against.
    """
    state = q.new_zeros(*q.shape[:2], q.shape[-1], v.shape[-1])  # [B, H, K, V]
    outputs = []
    for position in range(q.shape[2]):
        decay = log_decay[:, :, position].exp()[..., None]  # [B, H, K, 1]
        state = decay * state + k[:, :, position, :, None] * v[:, :, position, None]
        outputs.append((q[:, :, position, None] @ state)[:, :, 0])
    scale: float = q.shape[-1] ** -0.5
    return torch.stack(outputs, 2) * scale


def chunked_gated_attention(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    """The same in chunks of `CHUNK` positions; shapes as in `recurrent_gated_attention`.

    Only differences of summed decays that are at most 0 meet the exponential, so that no gate can overflow it.
    """
    length = q.shape[2]
    q, k, v, log_decay = (_in_chunks(x) for x in (q * q.shape[-1] ** -0.5, k, v, log_decay))
    decay = log_decay.cumsum(3)  # [B, H, c, CHUNK, K]: from before the chunk to each of its positions
    total = decay[:, :, :, -1:]  # [B, H, c, 1, K]
    added = (k * (total - decay).exp()).transpose(3, 4) @ v  # [B, H, c, K, V]
    states = _states_before(added, total.exp().transpose(3, 4))
    output = (q * decay.exp()) @ states + _within_chunks(q, k, v, decay)  # [B, H, c, CHUNK, V]
    return output.flatten(2, 3)[:, :, :length]


def _in_chunks(x: Tensor) -> Tensor:
    """[B, H, n, D] -> [B, H, ceil(n / CHUNK), CHUNK, D], zeros at the end."""
    padded = F.pad(x, (0, 0, 0, -x.shape[2] % CHUNK))
    return padded.reshape(*padded.shape[:2], -1, CHUNK, padded.shape[-1])


def _states_before(added: Tensor, decay: Tensor) -> Tensor:
    """The state each chunk starts from: `added` [B, H, c, K, V] by each, after `decay` [B, H, c, K, 1] over each."""
    state = torch.zeros_like(added[:, :, 0])
    states = []
    for addition, factor in zip(added.unbind(2), decay.unbind(2), strict=True):
        states.append(state)
        state = factor * state + addition
    return torch.stack(states, 2)


def _within_chunks(q: Tensor, k: Tensor, v: Tensor, decay: Tensor) -> Tensor:
    """What positions of the same chunk, not later ones, give each other; all [B, H, c, CHUNK, D]."""
    between = decay[:, :, :, :, None] - decay[:, :, :, None]  # [B, H, c, i, j, K]
    later = torch.ones(CHUNK, CHUNK, dtype=torch.bool, device=q.device).triu(1)[..., None]  # [i, j, 1]
    weights = between.masked_fill(later, -torch.inf).exp()
    scores = (weights * k[:, :, :, None] * q[:, :, :, :, None]).sum(-1)  # [B, H, c, i, j]
    return scores @ v


@cache
def _flash_linear_attention() -> Any | None:
    """The package's operation, or None where it is not installed."""
    if importlib.util.find_spec("fla") is None:
        return None
    return importlib.import_module("fla.ops.gla").chunk_gla


def gated_attention(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    """The fastest form for the tensors' device; shapes as in `recurrent_gated_attention`."""
    fused = _flash_linear_attention() if q.is_cuda else None
    if fused is None:
        return chunked_gated_attention(q, k, v, log_decay)
    by_position = (x.transpose(1, 2).contiguous() for x in (q, k, v, log_decay))  # [B, n, H, D]
    output: Tensor = fused(*by_position, scale=q.shape[-1] ** -0.5)[0]
    return output.transpose(1, 2)


class GatedLinearAttention(nn.Module):
    """Projections, gates and the gated RMS norm around the recurrence; names as in the published weights."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        keys = channels // 2
        self.q_proj = nn.Linear(channels, keys, bias=False)
        self.k_proj = nn.Linear(channels, keys, bias=False)
        self.v_proj = nn.Linear(channels, channels, bias=False)
        self.g_proj = nn.Linear(channels, channels, bias=False)
        self.gk_proj = nn.Sequential(nn.Linear(channels, GATE_RANK, bias=False), nn.Linear(GATE_RANK, keys))
        self.o_proj = nn.Linear(channels, channels, bias=False)
        self.g_norm_swish_gate = nn.RMSNorm(channels // heads, eps=NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, n, C], positions in raster order, to the same shape."""
        log_decay = F.logsigmoid(self.gk_proj(x).float()) / GATE_LOGIT_DIVISOR  # [B, n, C / 2]
        q, k, v = (self._by_head(project(x)) for project in (self.q_proj, self.k_proj, self.v_proj))
        attended = gated_attention(q, k, v, self._by_head(log_decay))  # [B, H, n, V]
        norm = self.g_norm_swish_gate
        # Autocast leaves this norm alone, and its fused form takes inputs of its weight's type only.
        normalised = norm(attended.transpose(1, 2).to(norm.weight.dtype)).flatten(2)  # [B, n, C]
        output: Tensor = self.o_proj(normalised * F.silu(self.g_proj(x)))
        return output

    def _by_head(self, x: Tensor) -> Tensor:
        """[B, n, H * d] -> [B, H, n, d]."""
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)
