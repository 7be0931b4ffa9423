"""The lineage is what the code does: spot checks against mappings, all connectors declared, the document up to date."""

from dataclasses import fields

import pytest

from app.published.lineage_table import DOCUMENT, document
from sync_core.cases.ownership import FIELDS
from sync_core.connectors.field_maps import erp_fields
from sync_core.desired import BillingMilestone, Customer, DatedRate, Kind, LabourCategory, Line, Project
from sync_core.domains.domains import IN_CONTRACT, Owner
from sync_core.domains.lineage import Lineage, lineage
from sync_core.estate.ownership import OwnerRule
from sync_core.events import PREFIX

ERPS = erp_fields()
LINES = {one.path: one for one in lineage(ERPS)}
HELD = {one.kind: {field.name for field in fields(one)} for one in (Customer, LabourCategory, Project, Line,
                                                                   BillingMilestone, DatedRate)}  # fmt: skip


def goes(path: str) -> set[tuple[str, str]]:
    return {(one.kind.value, one.field) for one in LINES[path].goes}


@pytest.mark.parametrize(
    ("path", "places"),
    [
        ("value", {("project", "value")}),
        ("po_number", {("project", "po_number")}),
        ("customer.code", {("customer", "key"), ("project", "customer")}),
        ("milestones[].due_on", {("milestone", "bill_on")}),
        ("milestones[].line", {("milestone", "revenue_category")}),
        ("rates[].rate", {("labour_rate", "rate")}),
        ("rates[].category", {("labour_category", "key"), ("labour_rate", "key"), ("labour_rate", "category")}),
        (
            "service_line",
            {
                ("contract_line", "recognition"),
                ("contract_line", "revenue_account"),
                ("contract_line", "revenue_category"),
            },
        ),
        ("tax.exempt", {("project", "tax_code")}),
        ("renewal.notice_by", set()),
        ("geography", set()),
    ],
)
def test_a_field_goes_where_the_derivation_puts_it(path: str, places: set[tuple[str, str]]) -> None:
    assert goes(path) == places


def test_the_owner_is_the_one_of_its_domain_unless_the_estate_names_another() -> None:
    owners = {path: one.owner for path, one in LINES.items()}
    assert {owners[path] for path in owners if path.startswith("customer.")} == {Owner.MDM}
    assert (owners["legal_entity"], owners["po_number"], owners["geography"]) == (Owner.MDM, Owner.CLM, Owner.CLM)
    own = {"po_references": OwnerRule(Owner.ERP), "customer_master": OwnerRule(Owner.CLM)}
    owners = {one.path: one.owner for one in lineage(ERPS, own)}
    assert (owners["customer.code"], owners["po_number"]) == (Owner.CLM, Owner.ERP)
    known = {field for field, ours in IN_CONTRACT.items() if ours not in {path.replace("[]", "") for path in LINES}}
    assert not known, "fields of domains that no line is known by"


def test_every_field_that_people_correct_is_in_it_with_its_setter() -> None:
    for path, field in FIELDS.items():
        leaves = [one for one in LINES.values() if covers(path, one)]
        assert leaves, path
        assert field.setter in {one.setter for one in leaves}


def covers(path: str, one: Lineage) -> bool:
    plain = one.path.replace("[]", "")
    return plain == path or plain.startswith(f"{path}.")


def test_every_connector_that_is_shipped_says_its_fields_and_knows_no_others() -> None:
    assert {"sandbox_cloud", "tryton"} <= set(ERPS)
    assert HELD.keys() == set(Kind)
    for name, maps in ERPS.items():
        for kind, names in maps.items():
            assert names.keys() <= HELD[kind], (name, kind)


def test_events_that_say_a_field_are_named() -> None:
    said = {name.removeprefix(PREFIX) for name in LINES["value"].events}
    assert said >= {"signed.v1", "signed.v2", "drafted.v1", "amended.v1", "corrected.v1"}
    assert f"{PREFIX}signed.v2" in LINES["currency"].events


def test_the_document_is_made_from_the_code() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "run `make docs`"


def test_the_first_day_of_a_rate_goes_where_an_erp_holds_dated_prices() -> None:
    assert goes("rates[].valid_from") >= {("labour_rate", "valid_from"), ("labour_rate", "rate")}
    named = {erp: kinds[Kind.LABOUR_RATE] for erp, kinds in ERPS.items()}
    assert {erp for erp, names in named.items() if "valid_from" in names} == {"sandbox_cloud"}
