"""Nothing that we run reports to anybody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_the_runtime_starts_no_session_of_its_makers_telemetry(tmp_path: Path) -> None:
    """The session would leave a file in the temporary folder."""
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    subprocess.run(
        [sys.executable, "-c", "import service.engine.onnx"],
        env=environment | {"TMPDIR": str(tmp_path)},
        check=True,
    )
    assert list(tmp_path.iterdir()) == []
