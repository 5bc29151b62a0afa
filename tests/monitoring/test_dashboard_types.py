"""The dashboards against Grafana's own types: TypeScript reads the JSON as @grafana/schema describes it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from scripts.generate_dashboards import FOLDER

SCHEMA_VERSION = "11.6.0"
TYPESCRIPT_VERSION = "5.8.3"
PACKAGES = Path(sys.prefix) / f"grafana-schema-{SCHEMA_VERSION}"
TYPES = Path(__file__).with_name("dashboard_types.ts")
STRICT = ("--noEmit", "--strict", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler")


@pytest.fixture(scope="module")
def packages() -> Path:
    """The folder with @grafana/schema and the compiler; installed once, as long as the environment lasts."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(
            "THE DASHBOARDS' TYPES ARE NOT CHECKED: @grafana/schema comes from npm, which is not here"
        )
    modules = PACKAGES / "node_modules"
    if not (modules / ".bin" / "tsc").exists():
        options = ("--silent", "--no-audit", "--no-fund", "--prefix", str(PACKAGES))
        names = (f"@grafana/schema@{SCHEMA_VERSION}", f"typescript@{TYPESCRIPT_VERSION}")
        subprocess.run([npm, "install", *options, *names], check=True)
    return modules


def wrong(good: str) -> dict[str, str]:
    """The same dashboard with one mistake each."""
    return {
        "another_enumeration": good.replace('"mode": "absolute"', '"mode": "absolut"', 1),
        "a_text_for_a_number": good.replace('"fillOpacity": 8', '"fillOpacity": "8"', 1),
        "an_unknown_option": good.replace('"cellGap": 1', '"cellGap": 1, "cellGaps": 1', 1),
        "an_unknown_panel": good.replace('"type": "heatmap"', '"type": "heat"', 1),
        "no_expression": good.replace('"expr":', '"expression":', 1),
        "an_unknown_field": good.replace('"refresh":', '"refreshing":', 1),
    }


COMMITTED = {path.stem: path.read_text("utf-8") for path in FOLDER.glob("*.json")}
WRONG = wrong(COMMITTED["batching"])


@pytest.fixture(scope="module")
def told(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the compiler says of all dashboards, the committed and the wrong ones: one line or more a mistake."""
    folder = tmp_path_factory.mktemp("types")
    (folder / "node_modules").symlink_to(packages)
    shutil.copy(TYPES, folder)
    texts = COMMITTED | WRONG
    for name, text in texts.items():
        lines = (
            "import type { KnownDashboard } from './dashboard_types';",
            "export const dashboard: KnownDashboard =",
        )
        (folder / f"{name}.ts").write_text("\n".join((*lines, text)))
    command = [str(packages / ".bin" / "tsc"), *STRICT, *(f"{name}.ts" for name in texts)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


def test_every_dashboard_has_the_types_of_grafana(told: str) -> None:
    names = [*COMMITTED, TYPES.stem]
    assert [
        line for line in told.splitlines() if line.startswith(tuple(f"{name}.ts" for name in names))
    ] == []


def test_each_kind_of_mistake_is_found(told: str) -> None:
    assert all(text != COMMITTED["batching"] for text in WRONG.values())
    assert [name for name in WRONG if f"\n{name}.ts(" not in f"\n{told}"] == []


def test_the_builders_make_dashboards_for_the_version_that_is_checked() -> None:
    assert metadata.version("grafana-foundation-sdk").endswith(f"!{SCHEMA_VERSION}")
