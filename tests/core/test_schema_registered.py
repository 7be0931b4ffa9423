"""What can be registered while Tieline runs: renames within their list, schemas that refer to nothing else. Pure."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.events import PREFIX, SchemaUnknown, understand
from sync_core.schemas.registered import InvalidRegistration, Registered, registration
from tests.sows import signed, tm_terms
from tests.versions import V3, as_v3, v3_schema

V2 = f"{PREFIX}signed.v2"
RENAMES = [("terms.total", "terms.value"), ("terms.lines[].sum", "terms.lines[].amount")]
TEXTS = st.text(st.characters(blacklist_categories=["Cs"]), max_size=20)


def known() -> Registered:
    return registration(V3, v3_schema(), V2, RENAMES)


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_what_is_renamed_is_read_as_if_it_had_been_sent_so(descriptions: list[str]) -> None:
    lines = [{"key": str(n), "description": text, "amount": "1.50"} for n, text in enumerate(descriptions)]
    said = signed("C-1", tm_terms(lines=lines))
    kind, data = known().in_core_form(orjson.dumps(as_v3(said)))
    assert (kind, orjson.loads(data)) == (f"{PREFIX}signed.v1", said | {"tomorrow": {"a": 1}})
    assert understand(kind, data) == understand(kind, orjson.dumps(said | {"tomorrow": {"a": 1}}))


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ("no name of an event version", ("com.tieline.contract.Signed.v3", v3_schema(), V2, [])),
        ("no name of an event version", ("com.other.signed.v3", v3_schema(), V2, [])),
        ("part of this release", (V2, v3_schema(), V2, [])),
        ("can be read as one of", (V3, v3_schema(), f"{PREFIX}amended.v1", [])),
        ("read as nothing", (f"{PREFIX}folded.v1", v3_schema(), V2, [])),
        ("no JSON:", (V3, "{", V2, [])),
        ("must be a JSON object", (V3, "[]", V2, [])),
        ("no JSON Schema, at type", (V3, '{"type": "strange"}', V2, [])),
        ("refers to 'https://", (V3, '{"properties": {"a": {"$ref": "https://elsewhere.example/x"}}}', V2, [])),
        ("refers to 'file:", (V3, '{"$defs": {"a": {"$ref": "file:///etc/passwd"}}}', V2, [])),
        ("over 200,000 bytes", (V3, '{"title": "' + "x" * 200_001 + '"}', V2, [])),
        ("is no field", (V3, "{}", V2, [("terms..value", "terms.x")])),
        ("is no field", (V3, "{}", V2, [("terms.lines[]", "terms.rows[]")])),
        ("not of the same list", (V3, "{}", V2, [("terms.lines[].a", "terms.rates[].a")])),
        ("renamed to itself", (V3, "{}", V2, [("terms.value", "terms.value")])),
        ("at most 50", (V3, "{}", V2, [("a", "b")] * 51)),
    ],
)  # fmt: skip
def test_what_cannot_be_registered_says_what_to_change(words: str, arguments: tuple[object, ...]) -> None:
    with pytest.raises(InvalidRegistration, match=words):
        registration(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "renames", "data"),
    [
        ("both a and b are there", [("a", "b")], {"a": 1, "b": 2}),
        ("x is no object", [("a", "x.y")], {"a": 1, "x": []}),
        ("the data is no object", [], []),
        ("contract_id: is required, and missing", [], {}),
    ],
)
def test_data_that_does_not_fit_says_where(words: str, renames: list[tuple[str, str]], data: object) -> None:
    schema = '{"required": ["contract_id"]}' if "required" in words else "{}"
    with pytest.raises(SchemaUnknown, match=words):
        registration(V3, schema, V2, renames).in_core_form(orjson.dumps(data))


def test_a_field_moves_into_an_object_and_out_of_nested_lists() -> None:
    moved = registration(V3, "{}", f"{PREFIX}signed.v1", [("a", "b.c"), ("rows[].cells[].x", "rows[].cells[].y.z")])
    data = {"a": 1, "rows": [{"cells": [{"x": 2}, {}, 3]}, {}], "other": None}
    _, made = moved.in_core_form(orjson.dumps(data))
    assert orjson.loads(made) == {"b": {"c": 1}, "rows": [{"cells": [{"y": {"z": 2}}, {}, 3]}, {}], "other": None}
