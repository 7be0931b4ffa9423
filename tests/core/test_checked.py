"""Which causes a run looked for: what it could not look for is never taken for gone."""

from dataclasses import replace
from datetime import date

import orjson
import pytest

from sync_core.cases.ownership import CAUSES, Arises
from sync_core.checks import Looked, checked, reference_findings
from sync_core.contract import Contract
from sync_core.derive import derive
from sync_core.errors import ErrorClass, Function
from sync_core.events import Event, understand
from sync_core.findings import Finding
from sync_core.keys import ErpRef
from sync_core.ports import Capabilities, Observation, References
from tests.folds import fold
from tests.sows import SIGNED_AT, estate, milestone_terms, signed

OF_CONTRACT = (Arises.EVENTS, Arises.CONTRACT, Arises.POLICY)
OF_REFERENCES = {cause.name for cause in CAUSES.values() if cause.arises is Arises.REFERENCES}
ALL_WELL = References(ErpRef("1"), "USD", True, True, True)


def found(*causes: str) -> list[Finding]:
    return [Finding(ErrorClass.MISSING_DATA, cause, Function.LEGAL, "words") for cause in causes]


def looked(refs: References, *, customer: bool = True) -> Looked:
    """At an ERP without any object of the contract."""
    desired = derive(contract(), estate(), on=date(2026, 1, 1))
    desired = replace(desired, may_create_customer=customer)
    return reference_findings(desired, Observation(refs, ()), estate(), Capabilities())


def contract() -> Contract:
    payload = understand("com.tieline.contract.signed.v1", orjson.dumps(signed("C-1", milestone_terms())).decode())
    return fold([Event("urn:test:clm", "e1", "com.tieline.contract.signed.v1", SIGNED_AT, payload)])


@pytest.mark.parametrize("cause", ["terms_missing", "legal_entity_unknown"])
def test_without_terms_or_entity_nothing_was_looked_for(cause: str) -> None:
    assert checked(found(cause), *OF_CONTRACT) == frozenset()


@pytest.mark.parametrize(
    ("cause", "hidden"),
    [("amount_invalid", {"approval_needed", "lines_do_not_add_up"}), ("double_in_erp", {"billed_differs"})],
)
def test_what_one_cause_hides_was_not_looked_for(cause: str, hidden: set[str]) -> None:
    steps = (*OF_CONTRACT, Arises.PLAN)
    assert not checked(found(cause), *steps) & hidden
    assert checked(found("po_missing"), *steps) >= hidden


def test_of_an_erp_that_has_all_every_cause_was_looked_for() -> None:
    assert looked(ALL_WELL).causes == OF_REFERENCES
    assert looked(ALL_WELL).findings == ()


def test_without_its_legal_entity_nothing_of_it_was_looked_for() -> None:
    seen = looked(replace(ALL_WELL, legal_entity=None, entity_currency=None))
    assert [finding.cause for finding in seen.findings] == ["legal_entity_missing"]
    assert seen.causes == {"legal_entity_missing", "customer_unknown", "labour_category_missing", "master_data_double"}


def test_of_an_unknown_customer_no_tax_profile_was_looked_for() -> None:
    seen = looked(replace(ALL_WELL, customer_tax_profile=False), customer=False)
    assert [finding.cause for finding in seen.findings] == ["customer_unknown"]
    assert seen.causes == OF_REFERENCES - {"customer_tax_profile_missing"}


def test_only_the_steps_of_the_run_count() -> None:
    looked_for = checked(found("po_missing"), *OF_CONTRACT)
    assert {CAUSES[cause].arises for cause in looked_for} == set(OF_CONTRACT)
    assert "amendment_missing" not in looked_for  # looked for once all else was applied
