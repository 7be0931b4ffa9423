"""What another version would break, and which fields nobody knows: told by field, from schemas alone. Pure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.events import PREFIX, REGISTRY
from sync_core.schemas.fit import compare, fit, shapes, unknown_fields
from sync_core.schemas.registered import validator_of
from tests.event_examples import EXAMPLES
from tests.sows import milestone_terms, signed

V1 = f"{PREFIX}signed.v1"
BASE = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string"},
        "kind": {"enum": ["a", "b"]},
        "size": {"type": ["number", "null"]},
        "rows": {"type": "array", "items": {"$ref": "#/$defs/row"}},
    },
    "$defs": {"row": {"type": "object", "properties": {"n": {"type": "integer"}}}},
}


def changed(**properties: object) -> dict[str, object]:
    assert isinstance(BASE["properties"], dict)
    kept = {name: one for name, one in {**BASE["properties"], **properties}.items() if one is not None}
    return {**BASE, "properties": kept}


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (BASE, []),
        (changed(more={"type": "string"}), [("more", False, "a new field, optional")]),
        ({**changed(more={"type": "string"}), "required": ["id", "more"]}, [("more", True, "a new field, required")]),
        (changed(size=None), [("size", True, "the field is gone")]),
        ({**BASE, "required": ["id", "size"]}, [("size", True, "required now")]),
        ({**BASE, "required": []}, [("id", False, "optional now")]),
        (changed(size={"type": "number"}), [("size", True, "narrower: no null any more")]),
        (changed(size={"type": ["integer", "null"]}), [("size", True, "narrower: no number any more")]),
        (changed(id={"type": ["string", "null"]}), [("id", False, "wider: null too")]),
        (changed(kind={"enum": ["a"]}), [("kind", True, "fewer values: no more b")]),
        (changed(kind={"enum": ["a", "b", "c"]}), [("kind", False, "more values: c")]),
        (changed(id={"type": "string", "maxLength": 9}), [("id", True, "a new limit: maxLength 9")]),
        (changed(rows={"type": "array", "items": {"type": "object"}}), [("rows[].n", True, "the field is gone")]),
        (changed(rows={"type": "string"}), [
            ("rows", True, "narrower: no array any more"),
        ]),
    ],
)  # fmt: skip
def test_a_change_is_told_as_what_it_is(after: dict[str, object], told: list[tuple[str, bool, str]]) -> None:
    found = compare(BASE, after)
    assert {(one.path, one.breaking, one.words) for one in found} >= set(told)
    assert [one.breaking for one in found] == sorted((one.breaking for one in found), reverse=True)
    assert bool(found) == bool(told)


def test_the_second_version_of_a_signature_breaks_readers_of_the_first_by_its_amounts() -> None:
    found = compare(REGISTRY[V1].schema(), REGISTRY[f"{PREFIX}signed.v2"].schema())
    assert {one.path for one in found} == {
        "terms.value", "terms.currency", "terms.billing.not_to_exceed", "terms.lines[].amount",
        "terms.milestones[].amount", "terms.rates[].rate",
    }  # fmt: skip
    assert all(one.breaking for one in found)


@pytest.mark.parametrize("name", REGISTRY)
def test_no_example_holds_a_field_that_is_not_known(name: str) -> None:
    assert unknown_fields(shapes(REGISTRY[name].schema()), EXAMPLES[name]) == {}
    assert compare(REGISTRY[name].schema(), REGISTRY[name].schema()) == ()


def test_an_unknown_field_is_told_once_with_its_path_and_type_and_not_what_is_in_it() -> None:
    data = signed("C-1", milestone_terms(risk={"a": {"b": 1}}))
    data["terms"]["milestones"][0] |= {"owner": "x"}  # type: ignore[index]
    data["terms"]["milestones"][1] |= {"owner": None}  # type: ignore[index]
    data["more"] = [1]
    found = unknown_fields(shapes(REGISTRY[V1].schema()), data)
    assert found == {
        ("terms.risk", "object"): 1, ("terms.milestones[].owner", "string"): 1,
        ("terms.milestones[].owner", "null"): 1, ("more", "array"): 1,
    }  # fmt: skip


def test_names_that_are_data_are_no_fields() -> None:
    known = shapes(REGISTRY[f"{PREFIX}clauses.v1"].schema())
    data = {"contract_id": "C", "revision": 1, "clauses": {"any name": "standard"}}
    assert unknown_fields(known, data) == {}


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
                    max_leaves=20))  # fmt: skip
def test_whatever_comes_in_is_looked_at(data: object) -> None:
    for path, kind in unknown_fields(shapes(REGISTRY[V1].schema()), data):
        assert kind in {"null", "boolean", "number", "string", "array", "object"}
        assert path or isinstance(data, dict)


def test_a_fit_counts_events_by_field_and_names_the_first() -> None:
    schema = {"type": "object", "required": ["a"], "properties": {"b": {"items": {"type": "integer"}}}}
    events = [("e1", {"a": 1}), ("e2", {}), ("e3", {"b": ["x", "y"]}), ("e4", {"a": 1, "b": [1]})]
    found = fit(validator_of(schema), events)
    assert (found.seen, found.fitting) == (4, 2)
    assert [(one.path, one.events, one.examples) for one in found.first] == [("a", 2, ["e2", "e3"]), ("b[]", 1, ["e3"])]
    assert [one.words for one in found.first] == ["is required, and missing", "expected type integer"]


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"type": "string"}, "expected type string"),
        ({"enum": ["a", 1, None]}, "expected enum a, 1, null"),
        ({"const": True}, "expected const true"),
        ({"not": {}}, "does not meet not"),
        ({"anyOf": [{"type": "string"}]}, "does not meet anyOf"),
        ({"additionalProperties": False}, "expected additionalProperties false"),
        ({"propertyNames": {"pattern": "^x"}}, "expected pattern ^x"),
        ({"required": ["other"]}, "is required, and missing"),
        (False, "the schema allows nothing here"),
    ],
)
def test_why_an_event_does_not_fit_is_told_without_what_it_holds(part: object, words: str) -> None:
    held = {"price": "a secret price"}
    [wrong] = fit(validator_of({"properties": {"terms": part}}), [("e1", {"terms": held})]).first
    assert wrong.words == words
    assert "secret" not in f"{wrong.path} {wrong.words}"
