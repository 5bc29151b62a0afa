"""Makes deploy/grafana/dashboards from scripts/dashboards. `--check` compares instead of writing."""

from __future__ import annotations

import sys
from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from scripts.dashboards import batching, jobs, resources, service
from scripts.generated_files import differing, write_or_check

FOLDER = Path(__file__).resolve().parents[1] / "deploy" / "grafana" / "dashboards"
BOARDS = {
    "service.json": service.board,
    "batching.json": batching.board,
    "jobs.json": jobs.board,
    "resources.json": resources.board,
}


def generated() -> dict[str, str]:
    """What the folder should hold: JSON by file name."""
    return {name: _text(board()) for name, board in BOARDS.items()}


def _text(board: Dashboard) -> str:
    built = board.build()
    for number, panel in enumerate(built.panels or (), start=1):
        panel.id_val = number
    return JSONEncoder(sort_keys=True, indent=2).encode(built) + "\n"


def differences() -> list[str]:
    """Files of the folder that are missing, left over or other than the modules give."""
    return differing(generated(), {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.json")})


def write() -> None:
    """Bring the folder up to date."""
    wanted = generated()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in FOLDER.glob("*.json"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, "utf-8")


def main() -> int:
    """Entry point."""
    complaint = "deploy/grafana/dashboards/{name} is not what scripts/dashboards gives: run make dashboards"
    return write_or_check(__doc__, write, differences, complaint)


if __name__ == "__main__":
    sys.exit(main())
