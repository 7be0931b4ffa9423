"""The registry: schemas are generated, examples are understood, strangers can be quarantined."""

import copy

import orjson
import pytest
from jsonschema import Draft202012Validator

from sync_core.events import PREFIX, REGISTRY, SchemaUnknown, admit, understand
from tests.event_examples import EXAMPLES


def test_there_is_an_example_of_every_type() -> None:
    assert set(EXAMPLES) == set(REGISTRY)


def test_every_type_says_something_of_its_own() -> None:
    assert len({one.summary for one in REGISTRY.values()}) == len(REGISTRY)


@pytest.mark.parametrize("name", REGISTRY)
def test_the_generated_schema_is_valid_and_fits_its_example(name: str) -> None:
    schema = REGISTRY[name].schema()
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:{name}"
    Draft202012Validator(schema).validate(EXAMPLES[name])


@pytest.mark.parametrize("name", REGISTRY)
def test_the_example_is_understood(name: str) -> None:
    payload = understand(name, orjson.dumps(EXAMPLES[name]))
    assert type(payload) is REGISTRY[name].payload
    assert (payload.contract_id, payload.revision) == (EXAMPLES[name]["contract_id"], EXAMPLES[name]["revision"])


@pytest.mark.parametrize("name", REGISTRY)
def test_a_field_that_is_not_known_yet_is_kept(name: str) -> None:
    payload = understand(name, orjson.dumps(EXAMPLES[name] | {"added_later": {"a": 1}}))
    assert (payload.model_extra or {})["added_later"] == {"a": 1}


@pytest.mark.parametrize("name", REGISTRY)
def test_a_field_that_is_not_known_yet_passes_in_every_part(name: str) -> None:
    example = EXAMPLES[name]
    assert understand(name, orjson.dumps(with_tomorrow(example))).contract_id == example["contract_id"]


def with_tomorrow(value: object) -> object:
    """With a field of tomorrow in each object of it whose names are fields."""
    if isinstance(value, dict):
        named = {name: one if name == "clauses" else with_tomorrow(one) for name, one in value.items()}
        return {**named, "tomorrow": "x"}
    return [with_tomorrow(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", REGISTRY)
def test_a_lost_required_field_is_named(name: str) -> None:
    required = REGISTRY[name].schema()["required"]
    assert {"contract_id", "revision"} <= set(required)
    for field in required:
        broken = copy.deepcopy(EXAMPLES[name])
        del broken[field]
        with pytest.raises(SchemaUnknown, match=f"{field}: "):
            understand(name, orjson.dumps(broken))


@pytest.mark.parametrize("name", ["", "signed", f"{PREFIX}signed.v3", f"{PREFIX}SIGNED.v1", "com.other.signed.v1"])
def test_an_unknown_type_is_told_apart(name: str) -> None:
    with pytest.raises(SchemaUnknown, match="not registered"):
        understand(name, b"{}")


@pytest.mark.parametrize("text", ["", "null", "[]", "{", "7", '{"contract_id": "", "revision": 1}'])
def test_data_that_is_no_payload_is_unknown_never_a_crash(text: str) -> None:
    for name in REGISTRY:
        with pytest.raises(SchemaUnknown):
            understand(name, text)


def test_many_problems_are_listed_shortly() -> None:
    signed = copy.deepcopy(EXAMPLES[f"{PREFIX}signed.v1"])
    with pytest.raises(SchemaUnknown, match=r"and \d+ more"):
        understand(f"{PREFIX}signed.v1", orjson.dumps(signed | {"terms": {}}))


def test_an_amount_keeps_its_digits() -> None:
    signed = orjson.dumps(EXAMPLES[f"{PREFIX}signed.v1"]).replace(b'"250000.00"', b'"12345678901234567.89"')
    assert str(understand(f"{PREFIX}signed.v1", signed).terms.value) == "12345678901234567.89"  # type: ignore[attr-defined]


@pytest.mark.parametrize("field", ["title", "customer", "legal_entity", "value", "starts_on", "billing", "tax"])
def test_null_is_no_change_but_a_mistake_where_nothing_can_be_taken_away(field: str) -> None:
    header = {"number": 1, "executed_at": "2026-03-02T10:00:00Z"}
    data = {"contract_id": "C-1", "revision": 2, "amendment": header, "changes": {field: None}}
    with pytest.raises(SchemaUnknown, match=f"changes.{field}"):
        understand("com.tieline.contract.amended.v1", orjson.dumps(data))


def test_an_end_date_and_a_purchase_order_can_be_taken_away() -> None:
    header = {"number": 1, "executed_at": "2026-03-02T10:00:00Z"}
    changes = {"ends_on": None, "po_number": None}
    data = {"contract_id": "C-1", "revision": 2, "amendment": header, "changes": changes}
    assert understand("com.tieline.contract.amended.v1", orjson.dumps(data)).revision == 2


_HEADER = {"number": 1, "executed_at": "2026-03-02T10:00:00Z"}
_AMENDED = {"contract_id": "C-1", "revision": 2, "amendment": _HEADER, "changes": {"value": "1.50"}}


@pytest.mark.parametrize(
    ("field", "odd"),
    [
        ("revision", {"revision": True}),
        ("revision", {"revision": "1_0"}),
        ("revision", {"revision": 2.0}),
        ("amendment.number", {"amendment": _HEADER | {"number": True}}),
        ("amendment.number", {"amendment": _HEADER | {"number": "1"}}),
        ("amendment.executed_at", {"amendment": _HEADER | {"executed_at": 1_770_000_000}}),
        ("amendment.executed_at", {"amendment": _HEADER | {"executed_at": "1770000000"}}),
        ("changes.value", {"changes": {"value": "1_000"}}),
        ("changes.value", {"changes": {"value": " 1"}}),
        ("changes.ends_on", {"changes": {"ends_on": 1_769_904_000}}),
        ("changes.tax.exempt", {"changes": {"tax": {"exempt": "yes"}}}),
        ("changes.milestones.0.amount",
         {"changes": {"milestones": [{"key": "a", "name": "A", "amount": "1_0", "due_on": "2026-05-01"}]}}),
        ("changes.milestones.0.due_on",
         {"changes": {"milestones": [{"key": "a", "name": "A", "amount": 10, "due_on": 1_769_904_000}]}}),
    ],
)  # fmt: skip
def test_what_python_reads_and_sql_reads_otherwise_does_not_come_in(field: str, odd: dict[str, object]) -> None:
    body = orjson.dumps(_AMENDED | odd)
    understand(f"{PREFIX}amended.v1", body)  # stored by an earlier release, it is still read
    with pytest.raises(SchemaUnknown, match=f": {field}: it must be "):
        admit(f"{PREFIX}amended.v1", body)


def test_an_override_is_a_whole_number() -> None:
    with pytest.raises(SchemaUnknown, match=": overrides: it must be "):
        admit(f"{PREFIX}corrected.v1", b'{"contract_id": "C-1", "revision": 2, "overrides": true, "changes": {}}')


@pytest.mark.parametrize("value", ["-1.50", "+1", ".5", "1e3", "1.", 7, 1.25])
def test_plain_amounts_come_in(value: object) -> None:
    admit(f"{PREFIX}amended.v1", orjson.dumps(_AMENDED | {"changes": {"value": value}, "more": {"value": "1_0"}}))


@pytest.mark.parametrize("name", REGISTRY)
def test_the_examples_come_in(name: str) -> None:
    assert admit(name, orjson.dumps(EXAMPLES[name])) == understand(name, orjson.dumps(EXAMPLES[name]))
