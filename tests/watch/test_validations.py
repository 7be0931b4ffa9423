"""POST /v1/validations beside real workers: the same findings, from what runs left behind, and no touch of the ERP."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from sqlalchemy.ext.asyncio import AsyncEngine

from collectors import references
from sync_core.authority import Permission
from sync_core.commands.desk import as_json
from sync_core.references.references import What
from tests.api.door import Door
from tests.engine.governed import Desk
from tests.memory_erp import MemoryConnector
from tests.reads.handmade import insert
from tests.sows import SOURCE, cloud_event, milestone_terms, signed, tm_terms
from tests.watch.worlds import terms as random_terms

ASKS = Permission.VALIDATIONS_WRITE


@pytest.fixture
def desk(async_database: AsyncEngine, database: sa.Engine) -> Desk:
    return Desk(async_database, sync=database)


def drawn(number: int) -> list[dict[str, Any]]:
    """So many random contracts, the same in every run."""
    found: list[dict[str, Any]] = []

    @settings(max_examples=number, database=None, derandomize=True, phases=[Phase.generate], deadline=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(random_terms())
    def draw(one: dict[str, Any]) -> None:
        found.append(one)

    draw()
    return found


async def ask(door: Door, terms: dict[str, Any], **more: object) -> dict[str, Any]:
    async with door.calls(ASKS) as program:
        answer = await program.post("/validations", json={"terms": terms, **more})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


async def test_random_contracts_are_found_as_their_runs_find_them(desk: Desk, database: sa.Engine) -> None:
    wanted = {f"C-{number}": terms for number, terms in enumerate(drawn(60))}
    assert len(wanted) > 40
    await desk.arrive(*(cloud_event(f"e-{name}", "signed.v1", signed(name, terms)) for name, terms in wanted.items()))
    await desk.run()
    raised: dict[str, set[tuple[str, str, str, str]]] = {name: set() for name in wanted}
    for name, *case in await desk.rows("""
        SELECT c.external_id, k.cause, k.function, k.error_class, k.message
        FROM core.case AS k JOIN core.contract AS c USING (contract_id)"""):
        raised[name].add(tuple(case))
    states, door = await desk.states(), Door(database, clock=desk.clock, estate=desk.estate)
    calls = len(desk.erp.calls)
    async with door.calls(ASKS) as program:
        for name, terms in wanted.items():
            found = (await program.post("/validations", json={"terms": terms, "contract_id": name})).json()
            told = {(one["cause"], one["function"], one["error_class"], one["message"]) for one in found["findings"]}
            assert told == raised[name], name
            assert found["would_provision"] == (states[name] == "active"), (name, found)
            assert found["unverified"] == []
    assert {"active", "blocked"} <= set(states.values())
    assert len(desk.erp.calls) == calls, "no validation asked the ERP"


async def test_what_master_data_says_is_found_as_a_run_finds_it(desk: Desk, database: sa.Engine) -> None:
    now = desk.clock.now()
    insert(
        database, "master_entity", system="mdm", mdm_id="E1", code="US01", name="Test Partners LLC", status="closed",
        changed_at=now, recorded_at=now,
    )  # fmt: skip
    insert(
        database, "master_customer", system="mdm", mdm_id="C1", code="CUST-1", name="Harbour Mutual", status="inactive",
        folded="harbour mutual", changed_at=now, recorded_at=now,
    )  # fmt: skip
    await desk.arrive(cloud_event("e", "signed.v1", signed("C-1")))
    await desk.run()
    raised = {cause for cause, _, _ in await desk.cases()}
    assert raised >= {"legal_entity_closed", "customer_inactive"}
    found = await ask(Door(database, clock=desk.clock, estate=desk.estate), milestone_terms())
    assert {one["cause"] for one in found["findings"]} == raised


async def test_it_touches_nothing_of_the_provisioning_path(desk: Desk, database: sa.Engine) -> None:
    await desk.arrive(cloud_event("e", "signed.v1", signed("C-1")))
    await desk.run()
    before = await everything(desk)
    found = await ask(Door(database, clock=desk.clock, estate=desk.estate), milestone_terms(title="Another"))
    assert found["would_provision"]
    assert {(one["action"], one["kind"]) for one in found["operations"]} == {
        ("no_op", "customer"), ("create", "project"), ("create", "contract_line"), ("create", "milestone"),
        ("activate", "project"),
    }  # fmt: skip
    assert await everything(desk) == before


async def everything(desk: Desk) -> dict[str, object]:
    tables = ("contract", "event", "run", "operation", "crosswalk", "case", "lane", "lane_slot", "reference", "drift")
    return {table: await desk.rows(f"SELECT * FROM core.{table} AS t ORDER BY t::text") for table in tables}


async def test_what_nobody_has_seen_is_unverified_asked_for_and_known_a_round_later(
    desk: Desk, database: sa.Engine
) -> None:
    door = Door(database, clock=desk.clock, estate=desk.estate)
    first = await ask(door, milestone_terms())
    assert (first["would_provision"], first["findings"], first["references_as_of"]) == (False, [], [])
    assert {one["what"] for one in first["unverified"]} >= {"legal_entity", "tax_code", "customer", "capabilities"}
    assert first["operations"], "what would be done, but for what is not known to be there"
    assert "customer" not in {one["kind"] for one in first["operations"]}
    [project] = [one["after"] for one in first["operations"] if (one["action"], one["kind"]) == ("create", "project")]
    assert project["value"] == "25000.00", "with its currency's decimals"
    wanted = await desk.rows("SELECT what FROM core.reference WHERE answer IS NULL")
    assert len(wanted) == len(first["unverified"])
    await round_of(desk)
    again = await ask(door, milestone_terms())
    assert (again["would_provision"], again["unverified"]) == (True, [])
    assert again["references_as_of"][0]["system"] == "cloud"
    desk.virtual.advance(timedelta(hours=2))
    older = await ask(door, milestone_terms())
    assert older["references_as_of"][0]["age_s"] == 7200


async def round_of(desk: Desk) -> int:
    worker = desk._worker = desk._worker or await desk.worker()
    await worker.lanes.share_slots(spare=8)
    connector = worker.connectors["cloud"]
    assert isinstance(connector, MemoryConnector)
    return await references.collect(desk.engine, connector, estate=desk.estate, clock=desk.clock)


async def test_master_data_is_read_anew_before_it_is_too_old(desk: Desk, database: sa.Engine) -> None:
    await desk.arrive(cloud_event("e", "signed.v1", signed("C-1")))
    await desk.run()
    assert await round_of(desk) == 0, "it is fresh"
    desk.erp.tax_codes.discard("US-CA-STD")
    door = Door(database, clock=desk.clock, estate=desk.estate)
    assert (await ask(door, milestone_terms()))["would_provision"], "as it was last seen"
    desk.virtual.advance(timedelta(hours=6))
    assert await round_of(desk) > 0
    found = await ask(door, milestone_terms())
    assert [one["cause"] for one in found["findings"]] == ["tax_profile_missing"]
    assert found["findings"][0]["mended"].startswith("Set the tax profile up in the ERP")
    [[oldest]] = await desk.rows("SELECT min(observed_at) FROM core.reference")
    assert oldest == desk.clock.now()


async def test_a_lane_that_is_not_open_is_left_alone(desk: Desk, database: sa.Engine) -> None:
    await ask(Door(database, clock=desk.clock, estate=desk.estate), milestone_terms())
    await desk.worker()
    async with desk.engine.begin() as conn:
        await conn.execute(sa.text("UPDATE core.lane SET breaker = 'open'"))
    assert await round_of(desk) == 0
    assert desk.erp.calls == []


async def test_a_run_stores_answers_once_and_then_only_what_changed(desk: Desk) -> None:
    await desk.arrive(*(cloud_event(f"e{n}", "signed.v1", signed(f"C-{n}")) for n in range(20)))
    await desk.run()
    rows = await desk.rows("SELECT what, observed_at FROM core.reference")
    assert {what for what, _ in rows} == {what.value for what in What} - {"labour_category"}
    desk.virtual.advance(timedelta(minutes=1))
    await desk.arrive(cloud_event("f", "signed.v1", signed("D-1", tm_terms())))
    await desk.run()
    again = dict(await desk.rows("SELECT what, max(observed_at) FROM core.reference GROUP BY 1"))
    assert again["tax_code"] == dict(rows)["tax_code"], "it is known, and fresh enough"
    assert again["labour_category"] == desk.clock.now()


async def test_reach_is_asked_for_the_entity_of_the_terms(desk: Desk, database: sa.Engine) -> None:
    door = Door(database, clock=desk.clock, estate=desk.estate)
    async with door.calls(ASKS, entities=frozenset({"GB01"})) as program:
        assert (await program.post("/validations", json={"terms": milestone_terms()})).status_code == 403
        unknown = milestone_terms(legal_entity="XX99")
        assert (await program.post("/validations", json={"terms": unknown})).status_code == 403
        british = milestone_terms(legal_entity="GB01", currency="GBP")
        assert (await program.post("/validations", json={"terms": british})).status_code == 200
    async with door.calls(Permission.CONTRACTS_READ) as program:
        assert (await program.post("/validations", json={"terms": milestone_terms()})).status_code == 403


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"terms": {}}', "title"),
        (b"[]", ""),
        (as_json({"terms": milestone_terms(), "nonsense": 1}), "nonsense"),
        (b"not json", ""),
        (as_json({"terms": milestone_terms(value=True)}), "value"),
        (as_json({"terms": milestone_terms(title="a\0b")}), "U+0000"),
        (as_json({"terms": milestone_terms(), "source": "urn:nobody"}), "no CLM of the estate"),
        (as_json({"terms": milestone_terms()}).replace(b'"25000.00"', b"1234567890123456789.12"), "digits"),
    ],
)
async def test_what_cannot_be_understood_is_refused_in_words(
    desk: Desk, database: sa.Engine, body: bytes, says: str
) -> None:
    door = Door(database, clock=desk.clock, estate=desk.estate)
    async with door.calls(ASKS) as program:
        answer = await program.post("/validations", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert says in answer.text


async def test_limits(desk: Desk, database: sa.Engine) -> None:
    door = Door(database, clock=desk.clock, estate=desk.estate)
    many = [{"key": str(n), "description": "x", "amount": "1.00"} for n in range(5_001)]
    async with door.calls(ASKS) as program:
        assert (await program.post("/validations", json={"terms": milestone_terms(lines=many)})).status_code == 422
        big = milestone_terms(title="x" * (1 << 20))
        assert (await program.post("/validations", json={"terms": big})).status_code == 413
        long = milestone_terms(customer={"code": "C" * 300, "name": "Long"})
        assert (await program.post("/validations", json={"terms": long})).status_code == 200
    assert await desk.rows("SELECT 1 FROM core.reference WHERE length(code) > 200") == [], "no ERP is asked for it"


async def test_the_approval_that_would_be_needed_is_named(desk: Desk, database: sa.Engine) -> None:
    large = milestone_terms(
        value="150000.00", lines=[{"key": "1", "description": "All", "amount": "150000.00"}],
        milestones=[{"key": "all", "name": "All", "amount": "150000.00", "due_on": "2026-09-30", "line": "1"}],
    )  # fmt: skip
    found = await ask(Door(database, clock=desk.clock, estate=desk.estate), large, source=SOURCE)
    assert found["approval"] == {
        "rule": "Large contracts", "function": "finance_operations", "from_amount": "100000", "currency": "USD",
        "value": {"amount": "150000.00", "currency": "USD"},
    }  # fmt: skip
    assert [one["cause"] for one in found["findings"]] == ["approval_needed"]
    assert found["operations"] == []
    rejected = await ask(
        Door(database, clock=desk.clock, estate=desk.estate), milestone_terms(),
        approval="rejected", clauses={"liability_cap": "rejected"},
    )  # fmt: skip
    assert {one["cause"] for one in rejected["findings"]} >= {"approval_rejected", "clause_rejected"}
