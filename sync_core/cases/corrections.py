"""Typed corrections: the form that mends one cause, and the change of the contract that its values make. Pure.

A form is a model built from the contract's own classes (sync_core/contract.py), so its JSON Schema and its validation
are one thing. Lists of parts are either edited item by item, where the parts' keys stay as they are, or as a whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from decimal import Decimal
from functools import cached_property
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import orjson
from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationError, create_model

from sync_core.cases.ownership import Field as Owned
from sync_core.cases.ownership import fields_for, where_mended
from sync_core.contract import ContractLine, LabourRate, Milestone, Terms
from sync_core.domains.lineage import owner_of
from sync_core.errors import TielineError
from sync_core.estate.estate import Estate
from sync_core.fold import rate_key
from sync_core.references.known_codes import Known

Part = ContractLine | Milestone | LabourRate
Values = Mapping[str, object]  # of a form, not checked yet
Model = type[BaseModel]

MOST_PARTS = 500
_PARTS: Final[Mapping[str, type[Part]]] = {"lines": ContractLine, "milestones": Milestone, "rates": LabourRate}
_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "lines": ("key",), "milestones": ("key",), "rates": ("category", "valid_from"),
}  # fmt: skip
_HINTS: Final = {owner: get_type_hints(owner) for owner in (Terms, *_PARTS.values())}

_Text = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$", strip_whitespace=True)]
_Number = Annotated[Decimal, Field(max_digits=24, decimal_places=6, allow_inf_nan=False)]
_NARROWED: Final[Mapping[object, object]] = {str: _Text, Decimal: _Number}


class NotCorrectable(TielineError):
    """The values are not those of the form, or change nothing; the message names the field."""

    code = "correction.invalid"


@dataclass(frozen=True, slots=True)
class FormField:
    path: str
    label: str
    owner: str  # the system that owns it


@dataclass(frozen=True)
class CorrectionForm:
    """What one function may set to mend one cause. Without fields it is mended elsewhere, as `where` says."""

    cause: str
    function: str
    where: str
    fields: tuple[FormField, ...]
    values: Mapping[str, JsonValue]  # as the contract stands, in the shape of the schema
    model: Model
    known: Known  # by path: codes that the ERP held before; others may be right all the same

    @property
    def correctable(self) -> bool:
        return bool(self.fields)

    @cached_property
    def schema(self) -> dict[str, JsonValue]:
        """JSON Schema 2020-12 of the values; amounts are texts, so that no digit is lost."""
        made: dict[str, JsonValue] = self.model.model_json_schema(mode="serialization")
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def form(terms: Terms | None, cause: str, function: str, estate: Estate, known: Known) -> CorrectionForm:
    """`function` is the one that has the exception; `known` is of the contract's legal entity."""
    owned = fields_for(cause, function) if terms is not None else ()
    shown = tuple(FormField(field.path, field.label, owner_of(field.path, estate.ownership)) for field in owned)
    model = _model(terms, owned, estate, known) if terms is not None else _named("Correction", {})
    values = _current(terms, owned) if terms is not None else {}
    return CorrectionForm(cause, function, where_mended(cause, function), shown, values, model, _offered(owned, known))


def _offered(owned: Sequence[Owned], known: Known) -> Known:
    return {field.path: known[field.path] for field in owned if known.get(field.path)}


def _model(terms: Terms, owned: Sequence[Owned], estate: Estate, known: Known) -> Model:
    wanted: dict[str, tuple[object, object]] = {}
    nested: dict[str, list[Owned]] = {}
    for field in owned:
        head, _, rest = field.path.partition(".")
        if rest:
            nested.setdefault(head, []).append(field)
        elif head in _PARTS:
            item = _part_model(head, terms, None)
            wanted[head] = (_listed(item), Field(default_factory=_absent, title=field.label))
        else:
            hint = Literal[tuple(estate.entities)] if head == "legal_entity" else _narrowed(_HINTS[Terms][head])
            wanted[head] = (hint, Field(default_factory=_absent, title=field.label))
    for head, inner in nested.items():
        if head in _PARTS:
            item = _part_model(head, terms, inner)
            wanted[head] = (_listed(item), Field(default_factory=_absent, title="; ".join(f.label for f in inner)))
        else:
            wanted[head] = (_group_model(head, inner, known), Field(default_factory=_absent))
    return _named("Correction", wanted)


def _listed(item: Model) -> object:
    return Annotated[list[item], Field(max_length=MOST_PARTS)]  # type: ignore[valid-type]


def _group_model(head: str, inner: Sequence[Owned], known: Known) -> Model:
    hints = get_type_hints(_HINTS[Terms][head])
    wanted: dict[str, tuple[object, object]] = {}
    for field in inner:
        name = field.path.partition(".")[2]
        examples = list(known.get(field.path, ())) or None
        wanted[name] = (_narrowed(hints[name]), Field(default_factory=_absent, title=field.label, examples=examples))
    return _named(head.capitalize(), wanted)


def _part_model(head: str, terms: Terms, inner: Sequence[Owned] | None) -> Model:
    """All attributes of the part, or its key and those of `inner`."""
    kind, hints = _PARTS[head], _HINTS[_PARTS[head]]
    chosen = None if inner is None else {*_KEYS[head], *(field.path.partition(".")[2] for field in inner)}
    wanted: dict[str, tuple[object, object]] = {}
    for attribute in fields(kind):
        if chosen is not None and attribute.name not in chosen:
            continue
        hint = _line_key(terms) if attribute.name == "line" and inner is not None else _narrowed(hints[attribute.name])
        optional = NoneType in get_args(hint) or (inner is None and attribute.name == "planned_hours")
        default = attribute.default if inner is None and attribute.name == "planned_hours" else None
        wanted[attribute.name] = (hint, default if optional else ...)
    return _named(f"{head.removesuffix('s').capitalize()}Item", wanted)


def _line_key(terms: Terms) -> object:
    keys = tuple(dict.fromkeys(line.key for line in terms.lines))
    return Literal[keys] | None if keys else None


def _named(name: str, wanted: Mapping[str, tuple[object, object]]) -> Model:
    definitions: dict[str, Any] = dict(wanted)
    return create_model(name, __config__=ConfigDict(extra="forbid", frozen=True), **definitions)


def _absent() -> Any:
    """Stands where nothing was given; readers ask `model_fields_set` first."""
    return None


def _narrowed(hint: object) -> object:
    if get_origin(hint) in (Union, UnionType):
        return Union[tuple(_narrowed(one) for one in get_args(hint))]  # noqa: UP007 - made of a tuple
    return _NARROWED.get(hint, hint)


def _current(terms: Terms, owned: Sequence[Owned]) -> dict[str, JsonValue]:
    shown: dict[str, JsonValue] = {}
    inner: dict[str, list[str]] = {}
    for field in owned:
        head, _, rest = field.path.partition(".")
        if rest:
            inner.setdefault(head, []).append(rest)
        else:
            shown[head] = _plain(getattr(terms, head))
    for head, names in inner.items():
        held = getattr(terms, head)
        keys = _KEYS.get(head, ())
        if head in _PARTS:
            shown[head] = [{name: _plain(getattr(part, name)) for name in (*keys, *names)} for part in held]
        else:
            shown[head] = {name: _plain(getattr(held, name)) for name in names}
    return shown


def _plain(value: object) -> JsonValue:
    plain: JsonValue = orjson.loads(orjson.dumps(value, default=str))
    return plain


def changes_of(terms: Terms, made: CorrectionForm, values: Values) -> dict[str, object]:
    """The `changes` of a corrected event; empty when the values are those of the contract. Raises NotCorrectable."""
    if not made.correctable:
        raise NotCorrectable(f"nothing of this is corrected here: {made.where}")
    try:
        given = made.model.model_validate(values)
    except ValidationError as wrong:
        raise NotCorrectable(_first(wrong)) from wrong
    changes: dict[str, object] = {}
    for head in sorted(given.model_fields_set):
        value = getattr(given, head)
        if head in _PARTS:
            changes |= _parts(head, getattr(terms, head), value, whole=any(f.path == head for f in made.fields))
        elif isinstance(value, BaseModel):
            held = getattr(terms, head)
            after = replace(held, **{name: getattr(value, name) for name in value.model_fields_set})
            changes |= {head: after} if after != held else {}
        elif value != getattr(terms, head):
            changes[head] = value
    return changes


def _parts(head: str, held: tuple[Part, ...], given: Sequence[BaseModel], *, whole: bool) -> dict[str, object]:
    if whole:
        after = [_PARTS[head](**{name: getattr(item, name) for name in type(item).model_fields}) for item in given]
        if tuple(after) == held:
            return {}
        removed = sorted({_key(part) for part in held} - {_key(part) for part in after})
        return {head: after} | ({f"remove_{head}": removed} if removed else {})
    if [_identity(head, item) for item in given] != [_identity(head, part) for part in held]:
        raise NotCorrectable(f"{head}: give all of them in the order of the form; their keys cannot be changed here")
    settled = [
        replace(part, **{name: getattr(item, name) for name in type(item).model_fields if name not in _KEYS[head]})
        for part, item in zip(held, given, strict=True)
    ]
    changed = [after for after, before in zip(settled, held, strict=True) if after != before]
    return {head: changed} if changed else {}


def _identity(head: str, part: object) -> tuple[str | date | None, ...]:
    return tuple(getattr(part, name) for name in _KEYS[head])


def _key(part: Part) -> str:
    return rate_key(part) if isinstance(part, LabourRate) else part.key


def _first(wrong: ValidationError, most: int = 5) -> str:
    listed = [f"{'.'.join(str(step) for step in e['loc']) or 'values'}: {e['msg']}" for e in wrong.errors()[:most]]
    return "; ".join(listed)
