"""Finance's files over the API: both forms, all or nothing, errors with their line, read back as of then."""

import json
from datetime import timedelta

import pytest

from sync_core.authority import Permission
from sync_core.clock import VirtualClock
from tests.api.door import Door, detail, key
from tests.metrics.billing import invoice
from tests.rows import NOW

P = Permission
CSV = {"content-type": "text/csv; charset=utf-8"}
JSON = {"content-type": "application/json"}


async def test_rates_are_taken_in_as_csv_and_as_json_and_listed(door: Door) -> None:
    async with door.calls() as program:
        first = await program.post(
            "/finance/rates", content="\ufeffcurrency;valid_on;rate\nGBP;2026-11-01;1.2875\n", headers=CSV
        )
        assert (first.status_code, first.json()["stored"], first.json()["repeated"]) == (201, 1, False)
        same = [{"currency": "GBP", "valid_on": "2026-11-01", "rate": 1.2875}]
        again = await program.post("/finance/rates", json=same)
        assert (again.json()["repeated"], again.json()["digest"]) == (True, first.json()["digest"])
        [row] = (await program.get("/finance/rates?currency=GBP")).json()["items"]
        assert (row["rate"], row["valid_on"], row["reporting"]) == ("1.2875", "2026-11-01", "USD")
    [noted, _] = door.audited("rates.import")
    assert detail(noted)["stored"] == 1


async def test_a_rate_that_looks_like_a_slip_is_taken_in_with_a_warning(door: Door) -> None:
    async with door.calls() as program:
        first = [{"currency": "GBP", "valid_on": "2026-11-01", "rate": "1.2875"},
                 {"currency": "JPY", "valid_on": "2026-11-01", "rate": "0.0065"}]  # fmt: skip
        assert (await program.post("/finance/rates", json=first)).json()["warnings"] == []
        odd = [{"currency": "GBP", "valid_on": "2026-12-01", "rate": "0.4"},
               {"currency": "GBP", "valid_on": "2026-12-08", "rate": "0.41"},
               {"currency": "JPY", "valid_on": "2028-01-01", "rate": "0.0066"}]  # fmt: skip
        answer = (await program.post("/finance/rates", json=odd)).json()
        assert answer["stored"] == 3
        assert answer["warnings"] == [
            "GBP: 0.4 from 2026-12-01 on differs by more than 3 times from 1.2875 of 2026-11-01",
            "JPY: 2028-01-01 is more than a year ahead",
        ]


async def test_a_bad_line_is_named_and_nothing_is_stored(door: Door) -> None:
    async with door.calls() as program:
        body = "currency,valid_on,rate\nEUR,2026-11-01,1.08\nGBP,2026-11-01,1,25\n"
        answer = await program.post("/finance/rates", content=body, headers=CSV)
        assert (answer.status_code, answer.json()["code"]) == (422, "command.invalid")
        assert answer.json()["detail"].startswith("line 3: 4 values for 3 columns")
        assert (await program.get("/finance/rates")).json()["items"] == []
        for headers in ({"content-type": "application/xml"}, {"content-type": ""}):
            answer = await program.post("/finance/rates", content=b"<x/>", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (415, "request.media_type")
        answer = await program.post("/finance/rates", content=b"[{}", headers=JSON)
        assert (answer.status_code, "no JSON" in answer.json()["detail"]) == (422, True)
        assert (await program.post("/finance/rates", content=b"x" * (1 << 21), headers=CSV)).status_code == 413


async def test_a_dispute_needs_an_invoice_within_reach(door: Door, firm: dict[str, int]) -> None:
    invoice(door.engine, firm["L-1"], "INV-1", "100", "2026-10-01", currency="GBP")
    said = [{"dispute": "D-1", "invoice": "INV-1", "raised_on": "2026-10-09", "status": "raised", "amount": "40.00",
             "currency": "GBP", "cause": "rate"}]  # fmt: skip
    async with door.calls(P.FINANCE_WRITE, entities=frozenset({"US01"})) as stranger:
        answer = await stranger.post("/finance/disputes", json=said)
        assert (answer.status_code, "no 'INV-1'" in answer.json()["detail"]) == (422, True)
        refused = await stranger.post("/finance/rates", json=[])
        assert refused.status_code == 403
        assert "hold for every legal entity, and your reach is US01 alone" in refused.json()["detail"]
    async with door.calls(P.FINANCE_WRITE, entities=frozenset({"GB01"})) as ours:
        answer = await ours.post("/finance/disputes", json=said, headers=key("d"))
        assert (answer.status_code, answer.json()["stored"]) == (201, 1)
        repeat = await ours.post("/finance/disputes", json=said, headers=key("d"))
        assert (repeat.headers["idempotency-replayed"], repeat.content) == ("true", answer.content)
        assert (await ours.get("/finance/rates")).status_code == 403


async def test_assumptions_are_read_back_as_of_then(door: Door) -> None:
    assert isinstance(door.clock, VirtualClock)

    def values(items: list[dict[str, str | None]]) -> dict[str | None, str | None]:
        return {item["name"]: item["value"] for item in items}

    async with door.calls() as program:
        for value in ("80", "90.5"):
            body = json.dumps([{"name": "cost_of_hour", "value": value, "reason": "payroll"}])
            assert (await program.post("/finance/assumptions", content=body, headers=JSON)).status_code == 201
            door.clock.advance(timedelta(minutes=2))
        now = (await program.get("/finance/assumptions")).json()["items"]
        assert (values(now)["cost_of_hour"], values(now)["cost_of_dispute"]) == ("90.5", None)
        then = (await program.get("/finance/assumptions", params={"as_of": NOW.isoformat()})).json()["items"]
        assert values(then)["cost_of_hour"] == "80"
        body = "name,value,reason\ndispute_rate,0.06,billing report\n"
        assert (await program.post("/finance/baseline", content=body, headers=CSV)).status_code == 201
        assert values((await program.get("/finance/baseline")).json()["items"])["dispute_rate"] == "0.06"


@pytest.mark.parametrize("route", ["rates", "disputes", "baseline", "assumptions"])
async def test_imports_need_their_scope(door: Door, route: str) -> None:
    async with door.calls(P.KPI_READ) as program:
        assert (await program.post(f"/finance/{route}", content="x", headers=CSV)).status_code == 403
