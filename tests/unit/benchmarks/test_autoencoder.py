"""What the autoencoder's benchmark says of its measurements."""

from __future__ import annotations

from benchmarks.autoencoder import AutoencoderReport, CostRow, DifferenceRow, markdown


def test_the_tables_tell_costs_a_picture_and_differences() -> None:
    report = AutoencoderReport(
        "a machine",
        "cpu",
        3,
        [CostRow("decode", "fp32", 2, 1.5, 2000.4)],
        [DifferenceRow("decoder", 0.0123, 0.25)],
    )
    text = markdown(report, "a command")
    assert "| decode | fp32 | 2 | 1.500 | 2000 |" in text
    assert "| decoder | 0.012 | 0.25 |" in text
