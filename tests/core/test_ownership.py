"""Every cause that the code can raise is in the table, every field is one of the contract, and the docs are current."""

import ast
import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import get_type_hints

import jsonschema
import orjson
import pytest

from sync_core import checks
from sync_core.cases import ownership
from sync_core.cases.corrections import NotCorrectable, Values, changes_of, form
from sync_core.cases.ownership import CAUSES, FIELDS, Place
from sync_core.contract import ContractLine, LabourRate, Milestone, Terms
from sync_core.errors import Function
from sync_core.events import CORRECTED, Changes, Signed, understand
from tests.sows import estate, milestone_terms, signed, tm_terms

ROOT = Path(checks.__file__).parent
DOCS = ROOT.parent / "docs" / "exceptions.md"


def finding_code() -> list[str]:
    texts = [path.read_text() for path in sorted(ROOT.rglob("*.py"))]
    return [text for text in texts if re.search(r"from sync_core\.(checks|findings) import .*\bFinding\b", text)]


def raised_in_code() -> dict[str, str | None]:
    """Causes with the function they are raised for (None: not a constant), wherever a Finding is made."""
    found: dict[str, str | None] = {}
    for text in finding_code():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                place = {"Finding": (1, 2), "missing": (0, 1)}.get(node.func.id)
                if place and len(node.args) > place[1]:
                    cause, function = node.args[place[0]], node.args[place[1]]
                    if isinstance(cause, ast.Constant):
                        found[str(cause.value)] = function.attr if isinstance(function, ast.Attribute) else None
    return found


DYNAMIC = {
    "approval_needed", "approval_refused", "double_in_erp", "billed_differs", "erp_credentials", "erp_schema_unknown",
    "outcome_unknown", "internal", "ownership_conflict", "billed_untold", "earned_before_move", "milestone_key_reused",
}  # fmt: skip


def test_every_cause_of_the_code_is_in_the_table_and_no_other() -> None:
    raised = raised_in_code()
    assert len(raised) > 25
    assert set(raised) | DYNAMIC == set(CAUSES)
    for cause, function in raised.items():
        if function is not None:
            assert CAUSES[cause].owner == Function[function], cause
    text = "".join(finding_code())
    for cause in DYNAMIC - {"erp_credentials", "erp_schema_unknown"}:
        assert f'"{cause}"' in text


def test_every_field_is_one_of_the_terms_that_a_correction_can_carry() -> None:
    terms = get_type_hints(Terms)
    for path in FIELDS:
        head, _, rest = path.partition(".")
        assert head in terms
        assert head in Changes.model_fields
        if rest and head in ("lines", "milestones", "rates"):
            assert rest in get_type_hints({"lines": ContractLine, "milestones": Milestone}.get(head, LabourRate))


def test_every_function_says_where_each_cause_is_mended() -> None:
    for cause in CAUSES:
        for function in Function:
            words = ownership.where_mended(cause, function)
            assert words.endswith(".")
    assert "Nobody knows" in ownership.where_mended("no_such_cause", "tax")


def terms_of(data: dict[str, object]) -> Terms:
    payload = understand("com.tieline.contract.signed.v1", orjson.dumps(signed("C-1", data)))
    assert isinstance(payload, Signed)
    return payload.terms


CORRECTABLE = [(cause.name, FIELDS[path].setter) for cause in CAUSES.values() for path in cause.mended]


@pytest.mark.parametrize(("cause", "function"), sorted(set(CORRECTABLE)))
def test_each_form_accepts_its_own_values_and_finds_no_change_in_them(cause: str, function: str) -> None:
    for terms in (terms_of(milestone_terms()), terms_of(tm_terms())):
        made = form(terms, cause, function, estate(), {})
        assert made.correctable
        jsonschema.Draft202012Validator.check_schema(made.schema)
        jsonschema.validate(made.values, made.schema, cls=jsonschema.Draft202012Validator)
        assert changes_of(terms, made, made.values) == {}
        with pytest.raises(NotCorrectable):
            changes_of(terms, made, {"title": "not of this form"})


@pytest.mark.parametrize(
    "cause",
    [
        c.name for c in CAUSES.values()
        if c.place in (Place.ERP, Place.ERP_BOOKS, Place.CLM) and c.name != "tax_profile_missing"
    ],
)  # fmt: skip
def test_what_is_mended_elsewhere_has_no_field_for_its_owner(cause: str) -> None:
    made = form(terms_of(milestone_terms()), cause, CAUSES[cause].owner, estate(), {})
    assert made.fields == ()
    with pytest.raises(NotCorrectable, match="nothing of this is corrected here"):
        changes_of(terms_of(milestone_terms()), made, {})


def changed(terms: Terms, cause: str, function: Function, values: Values) -> dict[str, object]:
    made = form(terms, cause, function, estate(), {})
    return changes_of(terms, made, orjson.loads(orjson.dumps(values)))


def test_only_the_items_that_differ_are_sent() -> None:
    terms = terms_of(milestone_terms())
    given = {"milestones": [{"key": "design", "amount": "1.50"}, {"key": "golive", "amount": "15000.00"}]}
    changes = changed(terms, "milestones_do_not_add_up", Function.LEGAL, given)
    assert changes == {"milestones": [replace(terms.milestones[0], amount=Decimal("1.50"))]}


def test_keys_of_items_cannot_be_changed_dropped_or_added() -> None:
    terms = terms_of(milestone_terms())
    for items in (
        [{"key": "design", "amount": "1"}],
        [{"key": "other", "amount": "1"}, {"key": "golive", "amount": "1"}],
        [{"key": "golive", "amount": "1"}, {"key": "design", "amount": "1"}],
    ):
        with pytest.raises(NotCorrectable, match="keys cannot be changed"):
            changed(terms, "milestones_do_not_add_up", Function.LEGAL, {"milestones": items})


def test_a_whole_list_names_what_it_removes() -> None:
    terms = terms_of(milestone_terms())
    kept = {"key": "golive", "name": "Go-live", "amount": "25000.00", "due_on": "2026-09-30", "line": "1"}
    changes = changed(terms, "milestone_key_twice", Function.LEGAL, {"milestones": [kept]})
    assert changes["remove_milestones"] == ["design"]
    assert changes["milestones"] == [Milestone("golive", "Go-live", Decimal("25000.00"), date(2026, 9, 30), "1")]


def test_the_lines_that_parts_can_name_are_those_of_the_contract() -> None:
    terms = terms_of(milestone_terms())
    items = [{"key": "design", "line": "7"}, {"key": "golive", "line": "1"}]
    with pytest.raises(NotCorrectable, match=r"milestones\.0\.line"):
        changed(terms, "line_unknown", Function.LEGAL, {"milestones": items})


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e300", "1" * 30, "0.1234567", "abc", None, [], {}, "1,000"])
def test_what_is_no_amount_is_refused_by_name(value: object) -> None:
    with pytest.raises(NotCorrectable, match="value"):
        changed(terms_of(milestone_terms()), "milestones_do_not_add_up", Function.LEGAL, {"value": value})


def test_what_is_made_of_it_is_an_event_that_intake_understands() -> None:
    terms = terms_of(tm_terms())
    rate = {"category": "SR", "name": "Senior", "rate": "1.10", "planned_hours": "2", "valid_from": "2026-05-01",
            "line": None}  # fmt: skip
    changes = changed(terms, "rate_twice", Function.DELIVERY, {"rates": [rate]})
    assert changes["remove_rates"] == ["JR", "SR"]
    data = {"contract_id": "C-1", "revision": 1, "overrides": 1, "changes": changes}
    assert understand(CORRECTED, orjson.dumps(data, default=str)).contract_id == "C-1"


def test_the_docs_list_the_causes_as_the_code_does() -> None:
    table = ownership.causes_table()
    assert table in DOCS.read_text(), f"put this into {DOCS.name}:\n{table}"
