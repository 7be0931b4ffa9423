"""The renewals on the Contracts page, and the card of one contract's life."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

import pytest
import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from sync_core.reads import Reads
from tests.pages.stage import play, texts
from tests.reads.handmade import add_case, add_contract, add_event
from tests.rows import NOW

TODAY = NOW.date()
TERMS = {
    "title": "Rollout", "customer": {"code": "CU-1", "name": "Northwind"}, "legal_entity": "US01",
    "service_line": "consulting", "geography": "AMER", "currency": "USD", "value": "1000.50",
    "starts_on": "2026-11-01", "ends_on": "2027-10-31", "billing": {"kind": "milestones", "payment_terms": "NET30"},
    "renewal": {"renews_on": "2027-11-01", "notice_by": "2027-08-01", "automatic": True},
}  # fmt: skip


def clean(shown: AppTest) -> str:
    assert [element.value for element in shown.error] == []
    return texts(shown).replace("\\", "")


def test_renewals_are_a_view_of_the_contracts(database: sa.Engine, nothing: Reads) -> None:
    due = TODAY + timedelta(days=20)
    for name, renewal in (("R-1", "automatic"), ("R-2", "declined")):
        add_contract(
            database, took=1, external_id=name, renewal=renewal, notice_by=due, renewal_due=due, renews_on=due,
            customer_name="*North* <b>",
        )  # fmt: skip
    shown = play("contracts", nothing, {"view": "renewals"})
    assert "**2 renewals** within 90 days: 1 by itself ($100), 1 declined ($100)." in clean(shown)
    [grid] = shown.dataframe
    assert list(grid.value["becomes"]) == ["By itself", "Declined"]
    assert list(grid.value["days"]) == [20, 20]
    narrowed = play("contracts", nothing, {"view": "renewals", "renewal": "declined"})
    assert list(narrowed.dataframe[0].value["becomes"]) == ["Declined"]


def test_without_renewals_the_view_says_so(nothing: Reads) -> None:
    assert "Nothing is to be renewed in this time." in clean(play("contracts", nothing, {"view": "renewals"}))


def told(database: sa.Engine, *events: tuple[str, Mapping[str, object]], state: str = "active", **more: Any) -> str:
    for number, (kind, data) in enumerate(events, 1):
        body = json.dumps({"contract_id": "T-1", "revision": number, **data})
        add_event(database, "T-1", f"com.tieline.contract.{kind}.v1", body)
    return str(add_contract(database, external_id="T-1", state=state, took=1, **more))


def life(shown: AppTest) -> str:
    clean(shown)
    return next(
        table.value.to_string() for table in shown.table if "Runs" in table.value.to_string()
    )  # fmt: skip


SIGNED = ("signed", {"signed_at": "2026-11-01T10:00:00Z", "terms": TERMS})


def test_a_contract_tells_the_rest_of_its_life(database: sa.Engine, nothing: Reads) -> None:
    declined = {"declined_on": "2026-11-20", "reason": "*in-house* <b>"}
    shown = play("contract", nothing, {"id": told(database, SIGNED, ("renewal_declined", declined))})
    table = life(shown).replace("\\", "")
    for part in ("1 Nov 2026 to 31 Oct 2027", "Declined, said on 20 Nov 2026: *in-house* <b>", "Last day"):
        assert part in table


@pytest.mark.parametrize(
    ("days", "words"), [(20, "20 days from today"), (1, "1 day from today"), (0, "today"), (-20, "passed 20 days ago")]
)
def test_the_day_of_notice_is_told_from_today(database: sa.Engine, nothing: Reads, days: int, words: str) -> None:
    notice_by = (TODAY + timedelta(days=days)).isoformat()
    terms = {**TERMS, "renewal": {**cast("dict[str, object]", TERMS["renewal"]), "notice_by": notice_by}}
    signed = ("signed", {"signed_at": "2026-11-01T10:00:00Z", "terms": terms})
    table = next(
        one.value
        for one in play("contract", nothing, {"id": told(database, signed)}).table
        if "Runs" in one.value.to_string()
    )
    [row] = [row for row in table.to_dict("records") if row["What"] == "Notice by"]
    assert row["Words"] == words


def test_a_suspended_contract_says_since_when_and_why(database: sa.Engine, nothing: Reads) -> None:
    begun = {"suspended_on": "2026-11-10", "reason": "review"}
    words = "suspended since 2026-11-10: review"
    number = told(database, SIGNED, ("suspended", begun), state="suspended", suspension=words)
    shown = play("contract", nothing, {"id": number})
    assert "**Suspended** since" in clean(shown)
    assert words in clean(shown)
    assert "from 10 Nov 2026" in life(shown)


def test_a_draft_that_could_not_be_provisioned_says_so(database: sa.Engine, nothing: Reads) -> None:
    add_event(database, "T-1", "com.tieline.contract.drafted.v1",
              json.dumps({"contract_id": "T-1", "revision": 1, "terms": TERMS}))  # fmt: skip
    contract = add_contract(database, external_id="T-1", signed=None)
    add_case(database, contract, "draft_would_not_provision", function="legal", message="no tax code")
    shown = clean(play("contract", nothing, {"id": str(contract)}))
    assert "**Draft**, and signed as it stands it would not be provisioned. Legal is told why." in shown
    assert "no tax code" in shown
