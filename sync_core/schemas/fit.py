"""What another version of a schema would break: for whoever reads it, and of the events that are stored. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from jsonschema import Draft202012Validator

from sync_core.schemas.registered import problems

Schema = Mapping[str, Any]

_DEEPEST: Final = 12
_SHOWN: Final = 3  # events named of one problem
_EACH: Final = "[]"
_LIMITS: Final = (
    "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "minItems",
    "maxItems", "multipleOf", "format",
)  # fmt: skip
_ALL_TYPES: Final = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})


@dataclass(frozen=True, slots=True)
class Shape:
    """One field of a schema."""

    types: frozenset[str]
    required: bool
    values: frozenset[str] | None = None  # of an enumeration
    any_name: bool = False  # an object whose names are data, such as those of clauses
    limits: frozenset[str] = frozenset()  # such as "minimum 0"


@dataclass(frozen=True, slots=True)
class Difference:
    path: str
    words: str
    breaking: bool


def shapes(schema: Schema) -> dict[str, Shape]:
    """By path: `terms.lines[].amount`; the items of a list are `terms.lines[]`. What refers to itself ends there."""
    found: dict[str, Shape] = {}
    _walk(schema, schema, "", found, required=True, deep=0)
    found.pop("", None)
    return found


def _walk(root: Schema, part: Schema, path: str, found: dict[str, Shape], *, required: bool, deep: int) -> None:
    if deep > _DEEPEST:
        return
    ways = list(_ways(root, part))
    before = found.get(path)
    types = frozenset().union(*map(_types, ways)) | (before.types if before else frozenset())
    any_name = any(isinstance(way.get("additionalProperties"), Mapping) for way in ways)
    limits = frozenset(f"{name} {way[name]}" for way in ways for name in _LIMITS if name in way)
    found[path] = Shape(types, required, _values(ways), any_name, limits)
    for way in ways:
        needed = way.get("required", ())
        named = {**{name: {} for name in needed}, **(way.get("properties") or {})}
        for name, inner in named.items():
            _walk(root, inner, f"{path}.{name}" if path else name, found, required=name in needed, deep=deep + 1)
        if isinstance(way.get("items"), Mapping):
            _walk(root, way["items"], f"{path}{_EACH}", found, required=True, deep=deep + 1)


def _values(ways: Sequence[Schema]) -> frozenset[str] | None:
    """None: any; an alternative that is null alone does not count."""
    named = [way.get("enum", [way["const"]] if "const" in way else None) for way in ways if way.get("type") != "null"]
    if not named or any(each is None for each in named):
        return None
    return frozenset(str(one) for each in named for one in each or ())


def _ways(root: Schema, part: object) -> Iterator[Schema]:
    """The alternatives of a part, references followed."""
    for _ in range(_DEEPEST):
        reference = part.get("$ref") if isinstance(part, Mapping) else None
        if not isinstance(reference, str):
            break
        at: Any = root
        for step in reference.removeprefix("#").strip("/").split("/"):
            at = at.get(step.replace("~1", "/").replace("~0", "~"), {}) if step and isinstance(at, Mapping) else at
        part = at
    if not isinstance(part, Mapping):
        yield {}
        return
    others = [*part.get("anyOf", ()), *part.get("oneOf", ()), *part.get("allOf", ())]
    if not others:
        yield part
    for other in others:
        yield from _ways(root, other)


def _types(way: Schema) -> frozenset[str]:
    said = way.get("type")
    if isinstance(said, str):
        return frozenset({said})
    if isinstance(said, list):
        return frozenset(said)
    return frozenset({"object"}) if "properties" in way else frozenset() if "enum" in way else _ALL_TYPES


def compare(before: Schema, after: Schema) -> tuple[Difference, ...]:
    """By path, what breaks first. Breaking: data of `before` may not fit `after`, or a reader of it misses a field."""
    old, new = shapes(before), shapes(after)
    found = [*_gone(old, new), *_added(old, new)]
    for path in old.keys() & new.keys():
        found += _changed(path, old[path], new[path])
    return tuple(sorted(found, key=lambda one: (not one.breaking, one.path, one.words)))


def _gone(old: Mapping[str, Shape], new: Mapping[str, Shape]) -> Iterator[Difference]:
    for path in old:
        if path not in new and _stands(path, new):
            yield Difference(path, "the field is gone", breaking=True)


def _added(old: Mapping[str, Shape], new: Mapping[str, Shape]) -> Iterator[Difference]:
    for path, shape in new.items():
        if path not in old and _stands(path, old):
            words = "a new field, required" if shape.required else "a new field, optional"
            yield Difference(path, words, breaking=shape.required)


def _stands(path: str, known: Mapping[str, Shape]) -> bool:
    """Whether what would hold it is there; else that says all."""
    holder = known.get(_parent(path))
    return not _parent(path) or (holder is not None and ("array" if path.endswith(_EACH) else "object") in holder.types)


def _changed(path: str, old: Shape, new: Shape) -> Iterator[Difference]:
    if new.required != old.required:
        words = "required now" if new.required else "optional now"
        yield Difference(path, words, breaking=new.required)
    if lost := _lost(old.types, new.types):
        yield Difference(path, f"narrower: no {' or '.join(sorted(lost))} any more", breaking=True)
    elif more := _lost(new.types, old.types):
        yield Difference(path, f"wider: {' or '.join(sorted(more))} too", breaking=False)
    for limit in sorted(new.limits - old.limits):
        yield Difference(path, f"a new limit: {limit}", breaking=True)
    for limit in sorted(old.limits - new.limits):
        yield Difference(path, f"no limit any more: {limit}", breaking=False)
    yield from _values_changed(path, old, new)


def _values_changed(path: str, old: Shape, new: Shape) -> Iterator[Difference]:
    if new.values is not None:
        if old.values is None or (gone := sorted(old.values - new.values)):
            which = "any text" if old.values is None else ", ".join(gone)
            yield Difference(path, f"fewer values: no more {which}", breaking=True)
        elif added := sorted(new.values - old.values):
            yield Difference(path, f"more values: {', '.join(added)}", breaking=False)
    elif old.values is not None:
        yield Difference(path, "any value now", breaking=False)


def _lost(before: frozenset[str], after: frozenset[str]) -> frozenset[str]:
    held = after | ({"integer"} if "number" in after else frozenset())
    return before - held


def _parent(path: str) -> str:
    return path.removesuffix(_EACH) if path.endswith(_EACH) else path.rpartition(".")[0]


@dataclass(slots=True)
class Misfit:
    """One field that stored events do not fit, and how many of them."""

    path: str
    words: str
    events: int = 0
    examples: list[str] = field(default_factory=list)  # ids


@dataclass(slots=True)
class Fit:
    """How many of the events that were looked at would fit."""

    seen: int = 0
    fitting: int = 0
    misfits: dict[str, Misfit] = field(default_factory=dict)

    @property
    def first(self) -> list[Misfit]:
        """Those of most events first."""
        return sorted(self.misfits.values(), key=lambda one: (-one.events, one.path))


def fit(validator: Draft202012Validator, events: Iterable[tuple[str, object]]) -> Fit:
    """`events`: (id, data), in a stream. Each problem of an event counts once for its field."""
    found = Fit()
    for event_id, data in events:
        found.seen += 1
        wrong = dict(reversed(list(problems(validator, data))))
        found.fitting += not wrong
        for path, words in wrong.items():
            misfit = found.misfits.setdefault(path, Misfit(path, words))
            misfit.events += 1
            if len(misfit.examples) < _SHOWN:
                misfit.examples.append(event_id)
    return found


def unknown_fields(known: Mapping[str, Shape], data: object, *, most: int = 200) -> Counter[tuple[str, str]]:
    """(path, JSON type) of fields of `data` that a schema does not know, however many items of a list have them."""
    found: Counter[tuple[str, str]] = Counter()
    for path, shape in _strangers(known, data, ""):
        if len(found) >= most:
            break
        found[path, shape] = 1
    return found


def _strangers(known: Mapping[str, Shape], data: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(data, Mapping):
        at = known.get(path)
        if at is not None and at.any_name:
            return
        for name, value in data.items():
            inner = f"{path}.{name}" if path else str(name)
            if inner in known:
                yield from _strangers(known, value, inner)
            elif not path or path in known:
                yield inner, json_type(value)
    elif isinstance(data, list):
        for item in data:
            yield from _strangers(known, item, f"{path}{_EACH}")


def json_type(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def fit_words(found: Fit) -> str:
    """One sentence for people."""
    if not found.seen:
        return "No event of this version is stored; nothing can be held against the schema."
    return f"{found.fitting:,} of {found.seen:,} stored events fit."
