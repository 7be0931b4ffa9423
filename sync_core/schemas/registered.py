"""Versions that are registered while Tieline runs: a JSON Schema, and how to read it as a version that the core knows.

A registration holds between a CLM's upgrade and the release of Tieline that knows its new version. It can say no more
than which fields have other names; what means something else needs a release. Pure.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeAlias

import orjson
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry

from sync_core.errors import TielineError
from sync_core.events import OWN, REGISTRY, SchemaUnknown, in_core_form
from sync_core.json_exact import JsonValue
from sync_core.json_exact import dump as exact_dump
from sync_core.schemas.versions import NAMING, stem

MOST_BYTES: Final = 200_000
MOST_RENAMES: Final = 50
_PATH: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,79}(\[\])?(\.[A-Za-z_][A-Za-z0-9_]{0,79}(\[\])?){0,9}")
_EACH: Final = "[]"
_QUOTES: Final = "'\""

Json: TypeAlias = dict[str, Any]
Rename: TypeAlias = tuple[str, str]  # their field, ours: `terms.lines[].sum`, `terms.lines[].amount`


class InvalidRegistration(TielineError):
    """A schema that cannot be registered; the message says what to change."""

    code = "schema.invalid_registration"


@dataclass(frozen=True)
class Registered:
    """One registered version. `renames` are carried out in their order."""

    name: str
    schema: Mapping[str, Any]
    reads_as: str
    renames: tuple[Rename, ...] = ()

    @cached_property
    def _validator(self) -> Draft202012Validator:
        return validator_of(self.schema)

    def in_core_form(self, data: bytes) -> tuple[str, bytes]:
        """The type and the data by which the core knows such an event. Raises SchemaUnknown that names the field."""
        read: JsonValue = orjson.loads(data)
        if (wrong := first_problem(self._validator, read)) is not None:
            raise SchemaUnknown(f"{self.name}: {wrong}")
        if not isinstance(read, dict):
            raise SchemaUnknown(f"{self.name}: the data is no object; send one")
        for theirs, ours in self.renames:
            _rename(read, theirs, ours, self.name)
        return in_core_form(self.reads_as, exact_dump(read))


def validator_of(schema: Mapping[str, Any]) -> Draft202012Validator:
    """Reads nothing from elsewhere, whatever the schema refers to."""
    return Draft202012Validator(dict(schema), registry=Registry())


def first_problem(validator: Draft202012Validator, data: object) -> str | None:
    """In words, by field; None where it fits."""
    found = next(iter(problems(validator, data)), None)
    return None if found is None else f"{found[0]}: {found[1]}"


def problems(validator: Draft202012Validator, data: object) -> Iterator[tuple[str, str]]:
    """(field, what is wrong with it), the outermost field first; items of a list are not told apart.

    In words of the schema alone: what an event holds is for those who may read its contract.
    """
    for wrong in sorted(validator.iter_errors(data), key=lambda one: len(one.absolute_path)):
        yield field_of(wrong), _expected(wrong)


def _expected(wrong: ValidationError) -> str:
    if wrong.validator == "required":
        return "is required, and missing"
    if wrong.validator is None or not isinstance(wrong.validator, str):
        return "the schema allows nothing here"
    asked = wrong.validator_value
    each = asked if isinstance(asked, list) else [asked]
    if any(isinstance(one, Mapping | list) for one in each):
        return f"does not meet {wrong.validator}"
    return f"expected {wrong.validator} {', '.join(_plain(one) for one in each)}"[:300]


def _plain(value: object) -> str:
    return value if isinstance(value, str) else str(orjson.dumps(value, default=str), "utf-8")


def field_of(wrong: ValidationError) -> str:
    steps = ["[]" if isinstance(step, int) else f".{step}" for step in wrong.absolute_path]
    if wrong.validator == "required" and isinstance(wrong.instance, Mapping):
        # jsonschema makes one error for each name, and says which only in its words.
        steps.append(f".{wrong.message.partition(' is a required')[0].strip(_QUOTES)}")
    return "".join(steps).removeprefix(".") or "data"


def registration(name: str, schema: bytes | str, reads_as: str, renames: Sequence[Rename]) -> Registered:
    """Raises InvalidRegistration."""
    if not NAMING.fullmatch(name):
        raise InvalidRegistration(
            f"{name[:100]!r} is no name of an event version; use com.tieline.contract.<what>.v<n>"
        )
    if name in REGISTRY or name in OWN:
        raise InvalidRegistration(f"{name} is part of this release already; there is nothing to register")
    if reads_as not in REGISTRY or stem(reads_as) != stem(name):
        others = ", ".join(sorted(known for known in REGISTRY if stem(known) == stem(name)))
        known_as = (
            f"one of {others}" if others else "nothing: this release knows no version of it, so it needs a newer one"
        )
        raise InvalidRegistration(f"{name} can be read as {known_as}")
    if len(renames) > MOST_RENAMES:
        raise InvalidRegistration(f"{len(renames)} renames; at most {MOST_RENAMES} are taken")
    for theirs, ours in renames:
        _check_rename(theirs, ours)
    return Registered(name, parsed(schema), reads_as, tuple(renames))


def parsed(schema: bytes | str) -> Json:
    """A JSON Schema (2020-12) that refers to nothing but itself. Raises InvalidRegistration."""
    if len(schema) > MOST_BYTES:
        raise InvalidRegistration(f"the schema is over {MOST_BYTES:,} bytes; shorten its descriptions")
    try:
        read = orjson.loads(schema)
        if not isinstance(read, dict):
            raise InvalidRegistration("the schema must be a JSON object")
        Draft202012Validator.check_schema(read)
    except orjson.JSONDecodeError as wrong:
        raise InvalidRegistration(f"the schema is no JSON: {wrong}") from wrong
    except SchemaError as wrong:
        at = "/".join(map(str, wrong.absolute_path)) or "its top"
        raise InvalidRegistration(f"the schema is no JSON Schema, at {at}: {wrong.message[:200]}") from wrong
    if (away := next((ref for ref in _references(read) if not ref.startswith("#")), None)) is not None:
        raise InvalidRegistration(f"the schema refers to {away[:100]!r}; write what it needs into its own $defs")
    return read


def _references(schema: object) -> Iterator[str]:
    if isinstance(schema, Mapping):
        for name in ("$ref", "$dynamicRef"):
            if isinstance(schema.get(name), str):
                yield str(schema[name])
        for inner in schema.values():
            yield from _references(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _references(inner)


def _check_rename(theirs: str, ours: str) -> None:
    for path in (theirs, ours):
        if not _PATH.fullmatch(path) or path.endswith(_EACH):
            raise InvalidRegistration(f"{path[:100]!r} is no field; write it as terms.value or terms.lines[].amount")
    if theirs.rpartition(_EACH)[0] != ours.rpartition(_EACH)[0]:
        raise InvalidRegistration(f"{theirs} and {ours} are not of the same list; a rename stays within its list")
    if theirs == ours:
        raise InvalidRegistration(f"{theirs} is renamed to itself; leave it out")


def _rename(data: Json, theirs: str, ours: str, name: str) -> None:
    lists, _, rest = theirs.rpartition(_EACH)
    target = ours.rpartition(_EACH)[2].lstrip(".").split(".")
    steps = rest.lstrip(".").split(".")
    for holder in _items(data, [part.strip(".") for part in lists.split(_EACH)] if lists else []):
        found = _take(holder, steps)
        if found is _NOTHING:
            continue
        at = holder
        for step in target[:-1]:
            at = at.setdefault(step, {})
            if not isinstance(at, dict):
                raise SchemaUnknown(f"{name}: {ours}: {step} is no object, so {theirs} has no place in it")
        if target[-1] in at:
            raise SchemaUnknown(f"{name}: both {theirs} and {ours} are there; send one of them")
        at[target[-1]] = found


_NOTHING: Final = object()


def _items(data: Json, lists: Sequence[str]) -> Iterator[Json]:
    """All objects in the innermost of nested lists, `data` itself without any."""
    if not lists:
        yield data
        return
    at: Any = data
    for step in lists[0].split("."):
        at = at.get(step) if isinstance(at, dict) else None
    for item in at if isinstance(at, list) else ():
        if isinstance(item, dict):
            yield from _items(item, lists[1:])


def _take(holder: Json, steps: Sequence[str]) -> object:
    at: Any = holder
    for step in steps[:-1]:
        at = at.get(step)
        if not isinstance(at, dict):
            return _NOTHING
    return at.pop(steps[-1], _NOTHING)
