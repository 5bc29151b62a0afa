"""The ceilings count what PyTorch counts."""

from __future__ import annotations

import pytest
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import roofline
from benchmarks.roofline import Copy, MatrixProduct


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_product_s_operations_are_those_that_are_done(
    precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(roofline.SIDES, "cpu", 48)
    product = MatrixProduct("cpu", precision)
    with FlopCounterMode(display=False) as counted:
        product.task()()
    assert counted.get_total_flops() == product.flops == 2 * 48**3


def test_a_copy_reads_and_writes_every_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(roofline.COPIED, "cpu", 1024)
    copy = Copy("cpu")
    copy.task()()
    assert copy.bytes == 2048
