"""Makes docs/reference from the OpenAPI document, the settings, the errors, the command line and the proto (make
reference). `--check` compares instead of writing.
"""

from __future__ import annotations

import sys
from pathlib import Path

from scripts.generated_files import differing, write_or_check
from scripts.reference import command_line, grpc, http, problems, settings

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
PAGES = {
    "command-line.md": command_line.page,
    "grpc.md": grpc.page,
    "http.md": http.page,
    "problems.md": problems.page,
    "settings.md": settings.page,
}
NOTE = "<!-- Made by make reference; not to be edited. -->\n\n"


def generated() -> dict[str, str]:
    """What docs/reference should hold: text by name."""
    return {name: page().replace("\n\n", f"\n\n{NOTE}", 1) for name, page in PAGES.items()}


def present() -> dict[str, str]:
    """What it holds."""
    return {path.name: path.read_text("utf-8") for path in FOLDER.iterdir()}


def differences() -> list[str]:
    """Pages that are missing, left over or not as they would be made."""
    return differing(generated(), present())


def write() -> None:
    """Bring docs/reference up to date."""
    wanted = generated()
    for name in present().keys() - wanted.keys():
        (FOLDER / name).unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, "utf-8")


def main() -> int:
    """Entry point."""
    complaint = "docs/reference/{name} is not what the code gives: run make reference"
    return write_or_check(__doc__, write, differences, complaint)


if __name__ == "__main__":
    sys.exit(main())
