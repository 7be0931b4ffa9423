"""What legal is told of a draft: what its signature would be stopped by, by the same checks."""

from decimal import Decimal
from typing import Any

import orjson

from sync_core.checks import contract_findings
from sync_core.contract import Contract
from sync_core.errors import Function
from sync_core.estate.estate import Estate, load
from sync_core.events import PREFIX, Event, understand
from sync_core.life.drafts import defects, warning
from tests.folds import fold
from tests.sows import ESTATE_TOML, SIGNED_AT, SOURCE, estate, milestone_terms, signed

RULES = '[[approval]]\nname = "All"\nfrom_amount = 0\n'


def contract(*said: tuple[str, dict[str, Any]]) -> Contract:
    events = []
    for number, (kind, data) in enumerate(said, 1):
        name = f"{PREFIX}{kind}.v1"
        payload = understand(name, orjson.dumps({"contract_id": "C-1", "revision": number, **data}))
        events.append(Event(SOURCE, f"e{number}", name, SIGNED_AT, payload))
    return fold(events)


def draft(**terms: object) -> tuple[str, dict[str, Any]]:
    return "drafted", {"terms": milestone_terms(**terms)}


def test_a_draft_that_would_be_provisioned_is_not_warned_of() -> None:
    assert warning(contract(draft()), estate()) is None


def test_one_warning_names_all_that_is_wrong_and_holds_up_no_money() -> None:
    told = warning(contract(draft(tax={}, value="24000.00")), estate())
    assert told is not None
    assert (told.cause, told.function, told.money) == ("draft_would_not_provision", Function.LEGAL, Decimal(0))
    assert "contract lines add up to 25000.00" in told.message
    assert "neither a tax code nor an exemption" in told.message


def test_the_checks_are_those_of_the_signature() -> None:
    faulty = milestone_terms(tax={}, po_number=None, legal_entity="GB01", currency="GBP", ends_on="2026-01-01")
    drafted = contract(("drafted", {"terms": faulty}))
    after = contract(
        ("signed", {k: v for k, v in signed("C-1", faulty).items() if k not in ("contract_id", "revision")})
    )
    assert {f.cause for f in defects(drafted, estate())} == {f.cause for f in contract_findings(after, estate())}
    assert len(defects(drafted, estate())) == 3


def test_an_approval_in_tieline_is_asked_after_the_signature() -> None:
    asking: Estate = load(ESTATE_TOML + RULES)
    assert "approval_needed" in {f.cause for f in contract_findings(contract(draft()), asking)}
    assert warning(contract(draft()), asking) is None


def test_a_draft_without_parts_is_still_being_written_unless_it_was_approved() -> None:
    bare = draft(lines=[], milestones=[])
    assert warning(contract(bare), estate()) is None
    told = warning(contract(bare, ("approved", {"approval": "approved"})), estate())
    assert told is not None
    assert "milestones add up to 0" in told.message


def test_what_was_signed_or_has_no_terms_is_no_draft() -> None:
    assert warning(contract(("approved", {"approval": "approved"})), estate()) is None
    data = {"signed_at": SIGNED_AT.isoformat(), "terms": milestone_terms(tax={})}
    assert warning(contract(draft(tax={}), ("signed", data)), estate()) is None
