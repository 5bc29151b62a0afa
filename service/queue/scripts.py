"""Loads the Lua scripts: a file's own first line (#!lua and its flags), lua/common.lua, then the rest."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def load_script(name: str) -> str:
    """The source that the server runs for the transition `name`."""
    folder = files("service.queue") / "lua"
    shebang, body = (folder / f"{name}.lua").read_text(encoding="utf-8").split("\n", 1)
    common = (folder / "common.lua").read_text(encoding="utf-8")
    return f"{shebang}\n{common}\n{body}"
