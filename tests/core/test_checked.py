"""Which causes a run looked for: what it could not look for is never taken for gone."""

import pytest

from sync_core.checks import checked
from sync_core.errors import ErrorClass, Function
from sync_core.findings import Finding
from sync_core.ownership import CAUSES, Arises

OF_CONTRACT = (Arises.EVENTS, Arises.CONTRACT, Arises.POLICY)


def found(*causes: str) -> list[Finding]:
    return [Finding(ErrorClass.MISSING_DATA, cause, Function.LEGAL, "words") for cause in causes]


@pytest.mark.parametrize("cause", ["terms_missing", "legal_entity_unknown"])
def test_without_terms_or_entity_nothing_was_looked_for(cause: str) -> None:
    assert checked(found(cause), *OF_CONTRACT) == frozenset()


@pytest.mark.parametrize(
    ("cause", "hidden"),
    [
        ("amount_invalid", {"approval_needed", "lines_do_not_add_up"}),
        ("legal_entity_missing", {"tax_profile_missing", "period_closed", "currency_differs"}),
        ("customer_unknown", {"customer_tax_profile_missing"}),
    ],
)
def test_what_one_cause_hides_was_not_looked_for(cause: str, hidden: set[str]) -> None:
    steps = (*OF_CONTRACT, Arises.REFERENCES, Arises.PLAN)
    assert not checked(found(cause), *steps) & hidden
    assert checked(found("po_missing"), *steps) >= hidden


def test_only_the_steps_of_the_run_count() -> None:
    looked_for = checked(found("po_missing"), *OF_CONTRACT)
    assert {CAUSES[cause].arises for cause in looked_for} == set(OF_CONTRACT)
    assert "amendment_missing" not in looked_for  # looked for once all else was applied
