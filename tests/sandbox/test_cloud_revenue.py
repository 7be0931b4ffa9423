"""sandbox-cloud: revenue is posted by the treatment of each line, taken back with its invoice, and never changed."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.sandbox.cloud.billing import Habits
from app.sandbox.cloud.revenue import split
from sync_core.desired import Kind, Line, Recognition
from sync_core.keys import ErpRef
from tests.contracts.cases import SANDBOX_SETUP, context
from tests.contracts.samples import Sample, time_and_materials
from tests.sandbox.clouds import Cloud, cloud, fixed_fee, provision, token_form

QUIET = Habits(dispute_share=0.0)
DAYS = 181  # from 1 January 2031 to 30 June, the term of the samples


def treated(sample: Sample, how: Recognition) -> Sample:
    objects = tuple(replace(o, recognition=how) if isinstance(o, Line) else o for o in sample.objects)
    return replace(sample, objects=objects)


async def _bearer(raw: httpx.AsyncClient) -> dict[str, str]:
    token = (await raw.post("/oauth/token", data=token_form())).json()["access_token"]
    return {"authorization": f"Bearer {token}"}


async def postings(it: Cloud, **params: str) -> list[dict[str, Any]]:
    """All of them, page by page."""
    found: list[dict[str, Any]] = []
    headers, cursor, more = await _bearer(it.raw), "0", True
    while more:
        answer = await it.raw.get("/v1/revenue-postings", params={"cursor": cursor, **params}, headers=headers)
        page = answer.raise_for_status().json()
        found += page["items"]
        cursor, more = page["cursor"], page["more"]
    return found


def total(found: Sequence[dict[str, Any]], **which: object) -> Decimal:
    chosen = [one for one in found if all(one[name] == value for name, value in which.items())]
    return sum((Decimal(one["amount"]) for one in chosen), Decimal(0))


@pytest.mark.parametrize("how", [Recognition.POINT_IN_TIME, Recognition.AS_INVOICED])
async def test_what_is_earned_with_its_milestone_is_posted_with_the_invoice(how: Recognition) -> None:
    async with cloud(habits=QUIET) as it:
        sample = treated(fixed_fee(), how)
        await provision(it.erp, sample)
        await it.raw.post("/_sandbox/advance", json={"through": "2031-02-27"})
        found = await postings(it)
        # 10000.10 lies evenly on two lines.
        assert [(one["amount"], one["line_external_id"]) for one in found] == [
            ("5000.05", "crm/C-1#L:1"), ("5000.05", "crm/C-1#L:2"),
        ]  # fmt: skip
        assert {(one["posting_date"], one["period"], one["method"], one["type"]) for one in found} == {
            ("2031-01-28", "2031-01", how.value, "recognition")
        }
        assert {one["project_external_id"] for one in found} == {sample.project.key}
        assert {one["invoice_id"] for one in found} == {"INV-000001"}
        await it.raw.post("/_sandbox/advance", json={"through": "2031-12-31"})
        assert total(await postings(it)) == Decimal("1244568.00")


async def test_a_fixed_fee_over_time_is_earned_by_the_day_whatever_is_billed() -> None:
    async with cloud(habits=QUIET) as it:
        await provision(it.erp, fixed_fee())
        await it.raw.post("/_sandbox/advance", json={"through": "2031-02-28"})
        found = await postings(it)
        january = (Decimal(625000) * 31 / DAYS).quantize(Decimal("0.01"))
        by_february = (Decimal(625000) * 59 / DAYS).quantize(Decimal("0.01"))
        assert [(one["period"], Decimal(one["amount"])) for one in found] == [
            ("2031-01", january), ("2031-01", january),
            ("2031-02", by_february - january), ("2031-02", by_february - january),
        ]  # fmt: skip
        assert {one["invoice_id"] for one in found} == {None}
        await it.raw.post("/_sandbox/advance", json={"through": "2032-12-31"})
        found = await postings(it)
        assert total(found) == Decimal(1250000)
        assert max(one["posting_date"] for one in found) == "2031-06-30"


async def test_a_changed_line_and_a_closed_period_are_caught_up_with() -> None:
    async with cloud(habits=QUIET) as it:
        sample = fixed_fee()
        made = await provision(it.erp, sample)
        closed = [{"legal_entity": "US01", "period": "2031-02", "status": "closed"}]
        await it.raw.post("/_sandbox/master", json={"periods": closed})
        await it.raw.post("/_sandbox/advance", json={"through": "2031-02-28"})
        assert {one["period"] for one in await postings(it)} == {"2031-01"}
        line = sample.of(Kind.CONTRACT_LINE)[0]
        assert isinstance(line, Line)
        less = replace(line, amount=Decimal(100))
        await it.erp.update(less, made[Kind.CONTRACT_LINE, line.key], ("amount",), context())
        await it.raw.post("/_sandbox/advance", json={"through": "2031-03-31"})
        found = await postings(it)
        assert total(found, line_external_id=line.key) == (Decimal(100) * 90 / DAYS).quantize(Decimal("0.01"))
        assert [one["type"] for one in found if one["line_external_id"] == line.key] == ["recognition", "adjustment"]
        assert {one["period"] for one in found} == {"2031-01", "2031-03"}


async def test_hours_are_earned_as_they_are_billed() -> None:
    async with cloud(habits=QUIET) as it:
        await provision(it.erp, time_and_materials(SANDBOX_SETUP, "T-1", "CUST-T"))
        it.clock.advance(timedelta(days=600))
        found = await postings(it)
        invoices = {str(doc["id"]): Decimal(str(doc["amount"])) for doc in it.app.store.all("invoice")}
        assert {str(one["invoice_id"]): Decimal(one["amount"]) for one in found} == invoices
        assert len(found) == len(invoices) >= 6
        assert {one["method"] for one in found} == {"over_time"}


async def test_a_credit_note_reverses_what_its_invoice_earned_and_names_the_posting() -> None:
    async with cloud(habits=QUIET) as it:
        sample = treated(fixed_fee(), Recognition.POINT_IN_TIME)
        made = await provision(it.erp, sample)
        await it.raw.post("/_sandbox/advance", json={"through": "2031-01-31"})
        first = made[Kind.MILESTONE, sample.of(Kind.MILESTONE)[0].key]
        settled = await it.raw.post("/_sandbox/settle", json={"milestone": first, "amount": "-1000.01"})
        assert settled.is_success
        found = await postings(it)
        assert [(one["type"], one["amount"], one["reverses"]) for one in found[2:]] == [
            ("reversal", "-500.00", "REV-000001"), ("reversal", "-500.01", "REV-000002"),
        ]  # fmt: skip
        assert found[:2] == (await postings(it))[:2]
        more = await it.raw.post("/_sandbox/settle", json={"milestone": first, "amount": "7.00"})
        assert more.is_success
        assert total(await postings(it)) == Decimal("9007.09")  # 10000.10 - 1000.01 + 7.00


async def test_a_closed_project_has_earned_what_was_billed_of_it() -> None:
    async with cloud(habits=QUIET) as it:
        sample = fixed_fee()
        made = await provision(it.erp, sample)
        await it.raw.post("/_sandbox/advance", json={"through": "2031-03-31"})
        ahead = total(await postings(it))
        assert ahead != Decimal("1244568.00")
        for _ in range(2):
            await it.erp.close(Kind.PROJECT, made[Kind.PROJECT, sample.project.key], context())
        found = await postings(it)
        assert total(found) == Decimal("1244568.00")
        assert [one["type"] for one in found[-2:]] == ["adjustment", "adjustment"]
        await it.raw.post("/_sandbox/advance", json={"through": "2032-03-31"})
        assert await postings(it) == found


async def test_postings_are_read_on_from_a_cursor_or_since_a_day() -> None:
    async with cloud(habits=QUIET) as it:
        await provision(it.erp, fixed_fee())
        await provision(it.erp, treated(fixed_fee("C-2"), Recognition.POINT_IN_TIME))
        it.clock.advance(timedelta(days=400))
        found = await postings(it)
        assert len(found) == 2 * 6 + 2 * 3 - 1  # of a cent for two lines, one has nothing
        assert await postings(it, limit="1") == found
        for since in ("2031-02-28", "2031-02-01", "1999-01-01", "2099-01-01"):
            assert await postings(it, changed_since=since) == [one for one in found if one["posting_date"] >= since]
        refused = await it.raw.get("/v1/revenue-postings", params={"changed_since": "soon"},
                                   headers=await _bearer(it.raw))  # fmt: skip
        assert refused.status_code == 422


async def _year(state: Path, restarts: Sequence[int], step: int) -> list[dict[str, Any]]:
    """The postings of a year in which the ERP is restarted after so many steps."""
    day, steps = date(2030, 12, 20), 0
    while True:
        async with cloud(state=state, habits=QUIET) as it:
            if not steps:
                await provision(it.erp, fixed_fee())
                await provision(it.erp, time_and_materials(SANDBOX_SETUP, "T-1", "CUST-T"))
            while day < date(2031, 12, 31):
                day, steps = day + timedelta(days=step), steps + 1
                await it.raw.post("/_sandbox/advance", json={"through": day.isoformat()})
                if steps in restarts:
                    break
            else:
                return await postings(it)


async def test_a_year_is_the_same_day_by_day_and_over_restarts(tmp_path: Path) -> None:
    daily = await _year(tmp_path / "daily", [], 1)
    assert daily == await _year(tmp_path / "leaps", [], 40)
    assert daily == await _year(tmp_path / "restarted", [3, 5, 6], 17)


@pytest.mark.parametrize(
    ("amount", "weights", "currency", "shares"),
    [
        ("10.00", ("1", "1", "1"), "USD", ("3.33", "3.33", "3.34")),
        ("-10", ("3", "1"), "JPY", ("-8", "-2")),  # half to even
        ("5.00", ("0", "0"), "USD", ("5.00", "0")),
    ],
)
def test_a_split_adds_up(amount: str, weights: Sequence[str], currency: str, shares: Sequence[str]) -> None:
    found = split(Decimal(amount), [Decimal(weight) for weight in weights], currency)
    assert found == [Decimal(share) for share in shares]
    assert sum(found) == Decimal(amount)


async def test_the_ledger_of_another_project_is_left_alone() -> None:
    async with cloud(habits=QUIET) as it:
        one, other = fixed_fee("C-1"), fixed_fee("C-2")
        made: dict[Any, ErpRef] = await provision(it.erp, one)
        await provision(it.erp, other)
        await it.raw.post("/_sandbox/advance", json={"through": "2031-02-15"})
        before = await postings(it)
        await it.erp.close(Kind.PROJECT, made[Kind.PROJECT, one.project.key], context())
        new = (await postings(it))[len(before) :]
        assert {posting["project_external_id"] for posting in new} == {one.project.key}
