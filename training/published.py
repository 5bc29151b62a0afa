"""Numbers of the paper's tables (Moebius, arXiv 2606.19195): FID and LPIPS, less is better."""

from __future__ import annotations

from dataclasses import dataclass

MOEBIUS = "Moebius, published"
FLUX = "FLUX.1-Fill-Dev, published"


@dataclass(frozen=True)
class Published:
    """One method's numbers on one set."""

    set: str
    method: str
    fid: float
    lpips: float


# The sets of the paper, in its order. A benchmark's set of another name has no published numbers.
SETS = ("Places2 test", "Places2 large", "Places2 small", "Places2 256", "CelebA-HQ 512", "FFHQ 256")

PUBLISHED = (
    Published("Places2 test", MOEBIUS, 9.48, 0.207),
    Published("Places2 large", MOEBIUS, 2.35, 0.173),
    Published("Places2 small", MOEBIUS, 0.92, 0.091),
    Published("CelebA-HQ 512", MOEBIUS, 5.39, 0.122),
    Published("FFHQ 256", MOEBIUS, 8.15, 0.231),
    Published("CelebA-HQ 512", FLUX, 10.13, 0.141),
)
