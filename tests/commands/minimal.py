"""Test only: the least that a signature accepts, made from its annotations."""

import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pandas as pd
from jsonschema import Draft202012Validator
from pydantic import JsonValue

_PLAIN: Mapping[object, object] = {
    str: "some text",
    int: 1,
    float: 1.0,
    bool: False,
    bytes: b"x",
    Decimal: Decimal(1),
    datetime: datetime(2026, 11, 20, tzinfo=UTC),
    date: datetime(2026, 11, 20, tzinfo=UTC).date(),
    type(None): None,
    JsonValue: "some text",
    object: "some text",
    Draft202012Validator: Draft202012Validator({}),
}


def arguments(call: Callable[..., object]) -> dict[str, Any]:
    """By name, for all parameters without a default but the actor."""
    hints = get_type_hints(call, localns={"pd": pd})  # some modules load pandas for the type checker alone
    wanted = [p for p in inspect.signature(call).parameters.values() if p.default is p.empty]
    return {p.name: value(hints[p.name]) for p in wanted if p.name not in ("self", "actor")}


def value(annotation: Any) -> Any:
    """Some value of the type. Raises TypeError for a type that nobody has thought of yet."""
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    origin, of = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return of[0]
    if origin in (Union, types.UnionType):
        return value(of[0])
    if origin in (list, Sequence):
        return [value(of[0])]
    if origin in (tuple, set, frozenset):
        return origin([value(of[0])])
    if origin in (dict, Mapping):
        return {value(of[0]): value(of[1])}
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return next(iter(annotation))
    if isinstance(annotation, type) and is_dataclass(annotation):
        hints = get_type_hints(annotation)
        needed = [f for f in fields(annotation) if f.default is MISSING and f.default_factory is MISSING and f.init]
        return annotation(**{field.name: value(hints[field.name]) for field in needed})
    if supertype := getattr(annotation, "__supertype__", None):
        return value(supertype)
    raise TypeError(f"tests/commands/minimal.py knows no value of {annotation!r}; add one")
