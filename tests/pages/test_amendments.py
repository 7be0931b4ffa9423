"""The view of a contract's amendments: both sides of each, sums that are the value, and hostile texts as texts."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.commands.people import LEGAL
from tests.engine.governed import Desk
from tests.engine.test_invoiced_milestones import LOWER, amended, at
from tests.engine.test_invoiced_milestones import desk as desk
from tests.pages.stage import play, texts
from tests.sows import cloud_event, milestone_terms, signed


def cells(shown: object) -> str:
    tables = shown.table  # type: ignore[attr-defined]
    return "\n".join(one.value.to_string() for one in tables).replace("\\", "").replace("\u2060", "")


async def test_both_sides_the_books_and_the_sums(desk: Desk) -> None:
    before = at(desk, "clm/C-1#M:design")
    await amended(desk, 1, "24000.00", milestones=LOWER, po_number="<script>alert(1)</script>")
    assert at(desk, "clm/C-1#M:design") == before
    shown = play("contract", desk.reads, {"id": "1", "view": "amendments"})
    assert not shown.exception
    told, table = texts(shown).replace("\\", "").replace("\u2060", ""), cells(shown)
    assert "$10,000.00 invoiced, $16,000.00 to invoice, $2,000.00 to credit by finance" in told
    assert "together the contract value, $24,000.00" in told
    assert "credit $2,000.00" in table
    for part in ("$25,000.00", "$24,000.00", "30 Sep 2026 → 30 Oct 2026", "<script>alert(1)</script>"):
        assert part in table
    (label,) = [one.label for one in shown.expander]
    assert "Amendment 1" in label
    assert "−$1,000.00" in label.replace("\\", "")
    assert "<b>" not in label.replace(r"\<b\>", "")
    whole = play("contract", desk.reads, {"id": "1"})
    assert "Before and after: 1 amendment" in {link.proto.label for link in whole.get("page_link")}


async def test_what_is_in_no_milestone_is_named_and_nothing_is_said_to_add_up(desk: Desk) -> None:
    await amended(desk, 1, "26000.00")
    shown = play("contract", desk.reads, {"id": "1", "view": "amendments"})
    assert not shown.exception
    told = texts(shown).replace("\\", "")
    assert "Does not add up" in told
    assert "$1,000.00 of the contract value, $26,000.00, is in no milestone." in told
    assert "Adds up" not in told
    books = next(one.value for one in shown.table if "To invoice" in one.value.columns)
    sums = {str(row["Milestone"]).replace("\\", ""): str(row["To invoice"]).replace("\\", "")
            for row in books.to_dict("records")}  # fmt: skip
    assert (sums["not in the schedule"], sums["All"]) == ("", "$25,000.00")
    await amended(desk, 2, "24000.00")
    told = texts(play("contract", desk.reads, {"id": "1", "view": "amendments"})).replace("\\", "")
    assert "The milestones are $1,000.00 more than the contract value, $24,000.00." in told


async def test_an_amendment_of_the_currency_shows_each_side_in_its_own(desk: Desk) -> None:
    await amended(desk, 1, "25000.00", currency="EUR")
    shown = play("contract", desk.reads, {"id": "1", "view": "amendments"})
    assert not shown.exception
    (label,) = [one.label.replace("\\", "") for one in shown.expander]
    assert "$25,000.00 → €25,000.00" in label
    [made] = [one.value for one in shown.table if "Due" in one.value.columns]
    rows = [[str(cell).replace("\\", "") for cell in row] for row in made[["Before", "After"]].to_numpy()]
    assert ["$15,000.00", "€15,000.00"] in rows
    assert ["$25,000.00", "€25,000.00"] in rows


async def test_what_waits_for_its_day_is_not_said_to_be_in_the_erp(desk: Desk) -> None:
    header = {"number": 1, "executed_at": desk.clock.now().isoformat(), "effective_on": "2027-01-01"}
    changes = {"title": "New words", "po_number": "PO-2", "billing": {"kind": "milestones", "payment_terms": "NET90"}}
    data = {"contract_id": "C-1", "revision": 2, "amendment": header, "changes": changes}
    await desk.arrive(cloud_event("a1", "amended.v1", data))
    await desk.run(after=timedelta(minutes=1))
    told = texts(play("contract", desk.reads, {"id": "1", "view": "amendments"})).replace("\\", "")
    assert "after it was executed; Billing payment terms, PO number in the ERP from 1 Jan 2027." in told


async def test_a_silent_change_is_shown_beside_the_agreed_terms_and_accepted(
    async_database: AsyncEngine, database: sa.Engine
) -> None:
    desk = Desk(async_database, sync=database)
    await desk.arrive(cloud_event("e1", "signed.v1", signed("C-1")))
    await desk.run()
    other = milestone_terms(po_number="*PO* <b>9</b>")
    await desk.arrive(cloud_event("e2", "signed.v1", signed("C-1", other, revision=2)))
    await desk.run(after=timedelta(hours=25))
    shown = play("contract", desk.reads, {"id": "1", "view": "amendments"})
    assert "Silent change" in texts(shown)
    assert "*PO* <b>9</b>" in cells(shown)
    case = await desk.case_id("silent_change")
    page = play("exceptions", desk.reads, {"case": str(case)}, actor=LEGAL, commands=desk.people)
    assert not page.exception
    assert "What differs" in texts(page)
    assert "*PO* <b>9</b>" in cells(page)
    page.button(key="open_case_accept").click().run()
    next(box for box in page.text_area if box.label == "Reason").input("signed on paper")
    next(one for one in page.button if one.label == "Accept").click().run()
    assert [one.value for one in page.warning] == []
    await desk.run(after=timedelta(minutes=1))
    assert await desk.told(case) == ["opened", "corrected", "resolved"]


@pytest.mark.parametrize("query", [{"id": "1", "view": "amendments"}, {"id": "1", "view": "<b>"}])
async def test_a_contract_without_amendments_says_so(
    async_database: AsyncEngine, database: sa.Engine, query: dict[str, str]
) -> None:
    desk = Desk(async_database, sync=database)
    await desk.arrive(cloud_event("e1", "signed.v1", signed("C-1")))
    await desk.run()
    shown = play("contract", desk.reads, query)
    assert not shown.exception
    assert ("It was never amended" in texts(shown)) is (query["view"] == "amendments")
