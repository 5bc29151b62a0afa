"""Small position terms: which sizes of map, heads, widths and filters the fused kernel is tested on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """A batch of maps; `dtype` is a name of torch's."""

    batch: int
    side: int
    heads: int
    keys: int
    values: int
    kernel: int
    dtype: str = "float32"


CASES = {
    "a map smaller than the filters": Case(1, 8, 8, 4, 4, 15),
    "two maps, and more values than keys": Case(2, 8, 2, 4, 6, 5),
    "a side that strips do not divide": Case(1, 18, 2, 8, 8, 15),
    "a width between powers of two": Case(1, 16, 4, 20, 20, 7),
    "half precision": Case(1, 16, 4, 8, 8, 15, "float16"),
}
