"""The client's parameters are the service's."""

from __future__ import annotations

import inspect
from enum import StrEnum
from typing import Any, Literal, get_args, get_type_hints

import pytest

from moebius_client import AsyncClient, AsyncJob, Client, Job
from moebius_client.parameters import NAMES, Parameters, given_parameters
from service.contracts import Params

NONE = type(None)


def kinds(annotation: Any) -> set[Any]:
    """Its alternatives, each a type, or a word of an enumeration."""
    alternatives = get_args(annotation) if NONE in get_args(annotation) else (annotation,)
    found: set[Any] = set()
    for alternative in alternatives:
        if isinstance(alternative, type) and issubclass(alternative, StrEnum):
            found |= set(alternative)
        elif getattr(alternative, "__origin__", None) is Literal:
            found |= set(get_args(alternative))
        else:
            found.add(get_args(alternative)[0] if hasattr(alternative, "__metadata__") else alternative)
    return found - {NONE}


def test_every_parameter_of_the_service_is_there_and_no_other() -> None:
    assert tuple(Params.model_fields) == NAMES


@pytest.mark.parametrize("name", Params.model_fields)
def test_a_parameter_has_the_services_type(name: str) -> None:
    assert kinds(get_type_hints(Parameters)[name]) == kinds(Params.model_fields[name].annotation)


@pytest.mark.parametrize("name", Params.model_fields)
def test_each_is_described(name: str) -> None:
    assert f"\n    {name}: " in (Parameters.__doc__ or "")


def test_none_is_left_out() -> None:
    assert given_parameters({"seed": None, "steps": 4, "color_match": False}) == {
        "steps": 4,
        "color_match": False,
    }


@pytest.mark.parametrize(("sync", "other"), [(Client, AsyncClient), (Job, AsyncJob)])
def test_both_clients_have_the_same_methods_with_the_same_arguments(sync: type, other: type) -> None:
    def surface(of: type) -> dict[str, list[str]]:
        named = {
            name.removeprefix("a") if name == "aclose" else name: value for name, value in vars(of).items()
        }
        return {
            name: list(inspect.signature(value).parameters)
            for name, value in named.items()
            if not name.startswith("_") and callable(value)
        }

    assert surface(sync) == surface(other)
