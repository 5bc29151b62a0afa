"""The committed dashboards as Grafana would ask them: panels, their queries, and variables with values put in."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LABEL_VALUES = re.compile(r"label_values\((?P<series>.+), (?P<label>\w+)\)")
VARIABLE = re.compile(r"\$(\w+)")

Ask = Callable[[str], list[dict[str, Any]]]  # from an expression to Prometheus' instant vector


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: Grafana's fields by their names."""

    fields: Mapping[str, Any]

    @property
    def title(self) -> str:
        """What stands above it."""
        return str(self.fields["title"])

    @property
    def kind(self) -> str:
        """timeseries, stat, heatmap or table."""
        return str(self.fields["type"])

    @property
    def defaults(self) -> Mapping[str, Any]:
        """How its values are written: unit, limits and more."""
        return dict(self.fields.get("fieldConfig", {}).get("defaults", {}))

    @property
    def queries(self) -> Iterator[tuple[str, str]]:
        """Each expression with its legend."""
        for target in self.fields["targets"]:
            yield target["expr"], target["legendFormat"]


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard: Grafana's fields by their names."""

    fields: Mapping[str, Any]

    @property
    def title(self) -> str:
        """What Grafana lists it as."""
        return str(self.fields["title"])

    @property
    def panels(self) -> tuple[Panel, ...]:
        """In the order of the page."""
        return tuple(Panel(panel) for panel in self.fields["panels"])

    def values(self, ask: Ask) -> dict[str, str]:
        """What `All` puts in for each variable: a pattern of all its values.

        Raises LookupError for a variable that has none: its panels would be empty.
        """
        values: dict[str, str] = {}
        for variable in self.fields["templating"]["list"]:
            if variable["type"] == "datasource":
                continue
            found = LABEL_VALUES.fullmatch(variable["query"])
            if found is None:
                raise LookupError(f"{variable['name']} of {self.title} is no label_values(series, label)")
            series = ask(filled(found["series"], values))
            names = sorted({one["metric"][found["label"]] for one in series})
            if not names:
                raise LookupError(f"{variable['name']} of {self.title} has no value: {variable['query']}")
            values[variable["name"]] = f"({'|'.join(map(re.escape, names))})"
        return values


def read_board(path: Path) -> Board:
    """The dashboard of a JSON file."""
    return Board(json.loads(path.read_text("utf-8")))


def filled(expression: str, values: Mapping[str, str]) -> str:
    """The expression with its variables' values put in, as in a quoted string. Raises KeyError for an unknown one."""
    return VARIABLE.sub(lambda found: values[found[1]].replace("\\", "\\\\"), expression)
