"""KPIs over the API: money is text with its currency, zero is zero, and what cannot be meant is refused."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app.postgres.embedded import Endpoint
from sync_core.authority import Permission
from sync_core.clock import VirtualClock
from tests import rows
from tests.api.door import Door
from tests.databases import DatabaseUrls
from tests.filled import filled
from tests.metrics.support import caught_up, measured
from tests.rows import NOW

ROWS = ("reconciliation", "stuck-money", "exception-ageing", "amendment-lag", "dispute-rate", "forecast-accuracy")
P = Permission


@pytest.fixture
def database_urls(server: Endpoint) -> Iterator[DatabaseUrls]:
    with filled(server, "measured_500", measured(500)) as urls:
        yield urls


@pytest.fixture
def seeded(database: sa.Engine) -> sa.Engine:
    return database


def amounts(answer: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for figure in answer["figures"]:
        if figure["unit"] == "money":
            yield figure["key"], figure


async def test_money_is_text_with_its_currency_everywhere(door: Door, seeded: sa.Engine) -> None:
    async with door.calls() as program:
        books = (await program.get("/kpis/reconciliation")).json()
        own = {key: figure["value"] for key, figure in amounts(books) if ":" in key or key.startswith("unconverted_")}
        assert {key.partition(":")[2] for key in own if ":" in key} >= {"GBP", "USD"}
        for key, value in own.items():
            assert value["currency"] == key[-3:], key
            assert isinstance(value["amount"], str), key
        for slug in ROWS:
            found = (await program.get(f"/kpis/{slug}/rows?limit=50")).json()
            money = {column["key"] for column in found["columns"] if column["unit"] == "money"}
            assert money, slug
            for row in found["items"]:
                for key in money:
                    assert row[key] is None or isinstance(row[key]["amount"], str), (slug, key)
                own_money = {row[key]["currency"] for key in money if row[key] and not key.endswith("_reporting")}
                assert own_money <= {row["currency"]}, slug


async def test_zero_is_zero_and_null_has_its_reason(door: Door, seeded: sa.Engine) -> None:
    async with door.calls() as program:
        books = dict(amounts((await program.get("/kpis/reconciliation")).json()))
        assert books["credited"]["value"] == {"amount": "0.00", "currency": "USD"}
        assert books["unexplained_net"]["value"] == {"amount": "0.00", "currency": "USD"}
        assert (books["recognised"]["value"], books["recognised"]["note"][:15]) == (None, "not asked yet: ")
        for slug in (one["slug"] for one in (await program.get("/kpis")).json()["items"]):
            answer = (await program.get(f"/kpis/{slug}")).json()
            assert answer["value"] is not None or answer["why_none"]
            assert all(one["value"] is not None or one["note"] for one in answer["figures"]), slug


@pytest.mark.parametrize(("query", "words"), [
    ("legal_entity=XX", "legal_entity: 'XX' is none that is known; there are DE01, GB01, US01"),
    ("billing=foo", "billing: 'foo' is none that is known; there are milestones, time_and_materials"),
    ("service_line=foo", "service_line: 'foo' is none that is known; there are"),
    ("geography=foo", "geography: 'foo' is none that is known; there are"),
    ("as_of=2150-01-01T00:00:00Z", "as_of: a moment that is not in the future"),
    ("as_of=0001-01-01T00:00:00Z", "as_of: a moment with its zone, of the years 1971 to 9998"),
    ("from=2150-W10&to=2150-W12", "from: 2150-W10 has not begun yet"),
    ("from=1970-W01&to=1970-W02", "not within the years 1971 to 9998"),
])  # fmt: skip
async def test_what_cannot_be_meant_is_refused(door: Door, seeded: sa.Engine, query: str, words: str) -> None:
    async with door.calls() as program:
        for address in ("/kpis/stuck-money", "/kpis/cycle-time/rows"):
            answer = await program.get(f"{address}?{query}")
            assert (answer.status_code, answer.json()["code"]) == (422, "measure.invalid_ask")
            assert words in answer.json()["detail"]


async def test_an_entity_that_a_contract_carries_is_known_and_reach_is_all_that_is_listed(
    door: Door, seeded: sa.Engine
) -> None:
    with seeded.begin() as conn:
        conn.execute(sa.text("""
            UPDATE core.contract SET legal_entity = 'ZZ09' WHERE contract_id = (SELECT min(contract_id)
                FROM core.contract WHERE signed_at IS NOT NULL)"""))  # fmt: skip
        conn.execute(sa.text("""
            INSERT INTO metrics.mark (contract_id) SELECT contract_id FROM core.contract
            WHERE legal_entity = 'ZZ09'"""))  # fmt: skip
    caught_up(seeded, VirtualClock(NOW + timedelta(seconds=1)), rows.estate())
    async with door.calls() as program:
        assert (await program.get("/kpis/cycle-time?legal_entity=ZZ09")).status_code == 200
    async with door.calls(P.KPI_READ, entities=frozenset({"GB01"})) as british:
        for entity in ("US01", "XX"):  # which of them there is, is not told
            answer = await british.get(f"/kpis/cycle-time?legal_entity={entity}")
            assert answer.status_code == 422
            assert f"'{entity}' is none that is known; there are GB01" in answer.json()["detail"]


async def test_a_state_says_so(door: Door, seeded: sa.Engine) -> None:
    async with door.calls() as program:
        known = {one["slug"]: one["span"] for one in (await program.get("/kpis")).json()["items"]}
        assert (known["stuck-money"], known["cycle-time"], known["roi"]) == ("state", "week", "13 weeks")
        assert (await program.get("/kpis/stuck-money?from=2026-W10&to=2026-W12")).json()["span"] == "state"


async def test_a_snapshot_that_cannot_be_made_is_refused_at_the_door(door: Door, seeded: sa.Engine) -> None:
    async with door.calls() as program:
        for body, words in (
            ({"as_of": "2150-01-01T00:00:00Z"}, "not in the future"),
            ({"week": "2026-W47", "as_of": "2026-11-20T00:00:00Z"}, "nothing is known as of"),
            ({"week": "2026-W47", "as_of": "2026-11-01T00:00:00Z"}, "had not begun as of"),
        ):
            answer = await program.post("/snapshots", json=body)
            assert answer.status_code == 422
            assert words in answer.json()["detail"]
        assert (await program.get("/snapshots")).json()["items"] == []
