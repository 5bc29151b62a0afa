"""Which distributions an install of our extras brings: pyproject.toml followed through the installed metadata."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
OURS = "moebius"
Environment = dict[str, str]
HERE: Environment = {}


@cache
def project() -> tuple[tuple[Requirement, ...], dict[str, tuple[Requirement, ...]]]:
    """What pyproject.toml requires always, and by extra."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = table["optional-dependencies"]
    return parsed(table["dependencies"]), {extra: parsed(lines) for extra, lines in extras.items()}


def parsed(lines: Iterable[str]) -> tuple[Requirement, ...]:
    """The requirements that such lines state."""
    return tuple(Requirement(line) for line in lines)


def declared(extras: Iterable[str]) -> list[Requirement]:
    """Our own direct requirements with these extras; an extra may name others as `moebius[other]`."""
    always, by_extra = project()
    found, wanted, known = list(always), list(extras), set[str]()
    while wanted:
        extra = wanted.pop()
        if extra in known:
            continue
        known.add(extra)
        for requirement in by_extra[extra]:
            if requirement.name == OURS:
                wanted.extend(requirement.extras)
            else:
                found.append(requirement)
    return found


@cache
def installed(name: str) -> Distribution | None:
    """The distribution of this name that is installed beside this interpreter."""
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


@cache
def required_by(name: str) -> tuple[Requirement, ...]:
    """What an installed distribution requires; nothing where it is not installed."""
    found = installed(name)
    return parsed((found.requires if found else None) or ())


def reachable(extras: Iterable[str], environments: Iterable[Environment] = (HERE,)) -> set[str]:
    """Canonical names of all that an install with these extras brings, in any of the environments.

    An environment holds markers (PEP 508) that differ from this interpreter's. What is not installed is named,
    but its own requirements are unknown.
    """
    return {name for environment in environments for name in followed(declared(extras), environment)}


def followed(requirements: Iterable[Requirement], environment: Environment) -> Iterator[str]:
    """The names of these requirements, of theirs, and so on."""
    waiting = [needed for needed in requirements if applies(needed, environment, "")]
    known = set[tuple[str, str]]()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in ("", *sorted(requirement.extras)):
            if (name, extra) in known:
                continue
            known.add((name, extra))
            waiting.extend(needed for needed in required_by(name) if applies(needed, environment, extra))
        yield name


def applies(requirement: Requirement, environment: Environment, extra: str) -> bool:
    """Whether a requirement's marker holds there."""
    return requirement.marker is None or requirement.marker.evaluate({**environment, "extra": extra})
