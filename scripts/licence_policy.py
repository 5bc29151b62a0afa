"""Which licence a distribution or a library has, and whether scripts/licences.toml allows it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any, Self

from license_expression import ExpressionError, Licensing, get_spdx_licensing
from packaging.utils import canonicalize_name

POLICY = Path(__file__).with_name("licences.toml")
VAGUE = "not stated"


@dataclass(frozen=True)
class LicencePolicy:
    """The file, read. `spellings`, `read`, `libraries` and `cuda` hold SPDX expressions by text or name."""

    allowed: frozenset[str]
    spellings: dict[str, str]
    read: dict[str, str]
    exceptions: dict[str, dict[str, str]]
    libraries: dict[str, str]
    cuda: dict[str, str]
    grammar: Licensing

    @classmethod
    def load(cls, path: Path = POLICY) -> Self:
        """Read the file; KeyError or TOMLDecodeError where it is not whole."""
        table = tomllib.loads(path.read_text("utf-8"))
        return cls(allowed=frozenset(table.pop("allowed")), grammar=get_spdx_licensing(), **table)

    def licence_of(self, found: Distribution) -> str:
        """The SPDX expression for a package: as read by us, else as its metadata say, else VAGUE."""
        metadata = found.metadata.json
        short = str(metadata.get("license", "")).strip()
        classifiers = [
            line.split(" :: ")[-1] for line in metadata.get("classifier", []) if "License ::" in line
        ]
        stated = [metadata.get("license_expression"), short, *classifiers]
        known = (self.spdx(str(text)) for text in stated if text)
        return self.read.get(canonicalize_name(found.name)) or next((one for one in known if one), VAGUE)

    def spdx(self, text: str) -> str | None:
        """The SPDX expression that a package's words mean; None where that is not clear."""
        words = self.spellings.get(text.lower(), text)
        try:
            unknown = self.grammar.unknown_license_keys(words)
        except ExpressionError:
            return None
        return None if unknown else words

    def permits(self, name: str, licence: str) -> bool:
        """Whether a package or library of this licence may be used: by the list, or by an exception for just it."""
        exception = self.exceptions.get(name)
        if exception and exception["licence"] == licence:
            return True
        return licence != VAGUE and self._allows(self.grammar.parse(licence))

    def _allows(self, node: Any) -> bool:
        """Whether an expression's node is allowed: one side of an OR, both sides of an AND."""
        if isinstance(node, self.grammar.OR):
            return any(map(self._allows, node.args))
        if isinstance(node, self.grammar.AND):
            return all(map(self._allows, node.args))
        return str(node) in self.allowed
