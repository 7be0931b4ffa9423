"""`verify`: untouched tables equal their events, at any moment; whatever is changed besides is found by name."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.errors import ErpUnavailable
from sync_core.reads.verify import Verified
from sync_core.watch.verify import COLUMNS
from tests.databases import DatabaseUrls
from tests.engine.governed import Desk
from tests.sows import SIGNED_AT, cloud_event, milestone_terms, signed, tm_terms
from tests.watch.test_validations import drawn


def amended(contract: str, number: int, changes: dict[str, object]) -> dict[str, object]:
    header = {"number": number, "executed_at": SIGNED_AT.isoformat()}
    data = {"contract_id": contract, "revision": number + 1, "amendment": header, "changes": changes}
    return cloud_event(f"{contract}.a{number}", "amended.v1", data)


@pytest.fixture
async def desk(async_database: AsyncEngine, database: sa.Engine) -> Desk:
    """An active contract of both kinds, an amended one, one that has ended, a draft, and blocked ones."""
    desk = Desk(async_database, sync=database)
    await desk.arrive(
        cloud_event("m", "signed.v1", signed("M-1")),
        cloud_event("t", "signed.v1", signed("T-1", tm_terms())),
        cloud_event("e", "signed.v1", signed("E-1")),
        cloud_event("d", "drafted.v1", {"contract_id": "D-1", "revision": 1, "terms": milestone_terms()}),
    )
    await desk.run()
    desk.virtual.advance(timedelta(hours=1))
    moved = [{"key": "golive", "name": "Go-live", "amount": "15000.00", "due_on": "2026-10-30", "line": "1"}]
    await desk.arrive(
        amended("M-1", 1, {"milestones": moved}),
        cloud_event("x", "terminated.v1", {"contract_id": "E-1", "revision": 2, "ended_on": "2026-03-02"}),
    )
    await desk.run()
    return desk


def verdict(desk: Desk, **more: object) -> Verified:
    return desk.reads.verified(**more)  # type: ignore[arg-type]


def told(found: Verified) -> list[tuple[str, str, str, str | None, str | None]]:
    return [(one.external_id, one.where, one.field, one.rebuilt, one.live) for one in found.differences]


async def test_untouched_tables_equal_their_events(desk: Desk) -> None:
    found = verdict(desk)
    assert told(found) == []
    assert found.equal
    assert (found.contracts, found.compared["crosswalk"], found.compared["plan"]) == (4, 2, 3)
    assert found.compared["contract"] >= 3


async def test_random_contracts_equal_their_events(async_database: AsyncEngine, database: sa.Engine) -> None:
    desk = Desk(async_database, sync=database)
    for number, terms in enumerate(drawn(60)):
        await desk.arrive(cloud_event(f"e{number}", "signed.v1", signed(f"C-{number}", terms)))
    await desk.run()
    found = verdict(desk)
    assert told(found) == []
    assert found.compared["plan"] > 2


@pytest.mark.parametrize("column", COLUMNS)
async def test_each_column_that_was_changed_besides_is_named(
    desk: Desk, database_urls: DatabaseUrls, column: str
) -> None:
    values = {
        "value": "value + 1", "value_reporting": "7", "test": "NOT test", "revision": "revision + 1",
        "signed_at": "signed_at + interval '1 day'", "bill_on": "bill_on + 1", "state": "'ended'",
        "renews_on": "DATE '2030-01-01'", "notice_by": "DATE '2030-01-01'", "renewal": "'manual'",
    }  # fmt: skip
    _tamper(database_urls, f"UPDATE core.contract SET {column} = {values.get(column, chr(39) + 'other' + chr(39))} "
                           "WHERE external_id = 'M-1'")  # fmt: skip
    found = verdict(desk)
    assert not found.equal
    assert ("M-1", "contract", column) in [one[:3] for one in told(found)]
    assert {one[0] for one in told(found)} == {"M-1"}


@pytest.mark.parametrize(
    ("tampering", "where", "what"),
    [
        ("DELETE FROM core.crosswalk WHERE business_key = 'clm/M-1#M:golive'", "crosswalk",
         "milestone clm/M-1#M:golive"),
        ("UPDATE core.crosswalk SET state = 'closed' WHERE business_key = 'clm/M-1#L:1'", "crosswalk",
         "contract_line clm/M-1#L:1"),
        ("UPDATE core.crosswalk SET ref = 'E99999' WHERE business_key = 'clm/M-1' AND kind = 'project'", "contract",
         "project_ref"),
        ("UPDATE core.crosswalk SET fields = fields || '{\"amount\": \"1\"}' WHERE business_key = 'clm/M-1#M:golive'",
         "crosswalk", "milestone clm/M-1#M:golive amount"),
        ("UPDATE core.crosswalk SET business_key = 'clm/M-1#M:other' WHERE business_key = 'clm/M-1#M:golive'",
         "crosswalk", "milestone clm/M-1#M:other"),
        ("UPDATE core.run SET digest = 'x' WHERE contract_id = (SELECT contract_id FROM core.contract "
         "WHERE external_id = 'M-1')", "plan", "digest"),
        ("""UPDATE core.operation SET after = after || '{"bill_on": "2030-01-01"}',
            before = before || '{"bill_on": "2020-01-01"}' WHERE action = 'update'""", "plan", "digest"),
        ("UPDATE core.event SET data = jsonb_set(data, '{terms,title}', '\"Another\"') WHERE external_id = 'M-1' "
         "AND id = 'm'", "contract", "title"),
        ("DELETE FROM core.event WHERE external_id = 'M-1'", "contract", "events"),
    ],
)  # fmt: skip
async def test_crosswalk_plan_and_events_that_were_changed_are_named(
    desk: Desk, database_urls: DatabaseUrls, tampering: str, where: str, what: str
) -> None:
    _tamper(database_urls, tampering)
    found = verdict(desk)
    assert (where, what) in [one[1:3] for one in told(found)]
    assert {one[0] for one in told(found)} == {"M-1"}


_OF_T1 = "contract_id = (SELECT contract_id FROM core.contract WHERE external_id = 'T-1')"


@pytest.mark.parametrize(
    ("tampering", "what"),
    [
        (f"DELETE FROM core.operation WHERE action = 'create' AND kind = 'contract_line' AND {_OF_T1}",
         ("contract_line clm/T-1#L:1", "create", None)),
        (f"UPDATE core.operation SET kind = 'milestone' WHERE kind = 'contract_line' AND {_OF_T1}",
         ("milestone clm/T-1#L:1", None, "create")),
        (f"UPDATE core.operation SET action = 'update', before = '{{}}' WHERE kind = 'project' AND action = 'create' "
         f"AND {_OF_T1}", ("project clm/T-1", None, "update")),
        ("INSERT INTO core.operation (run_id, step, contract_id, system, action, kind, business_key, ref, status, "
         "after, started_at, finished_at) SELECT run_id, 99, contract_id, system, 'create', 'milestone', "
         f"'clm/T-1#M:bogus', 'E9', 'done', '{{}}', started_at, finished_at FROM core.operation WHERE {_OF_T1} LIMIT 1",
         ("milestone clm/T-1#M:bogus", None, "create")),
    ],
)  # fmt: skip
async def test_operations_that_were_taken_out_put_in_or_altered_are_named(
    desk: Desk, database_urls: DatabaseUrls, tampering: str, what: tuple[str, str | None, str | None]
) -> None:
    _tamper(database_urls, tampering)
    found = verdict(desk)
    assert not found.equal
    assert ("T-1", "operations", *what) in told(found)
    assert {one[0] for one in told(found)} == {"T-1"}


async def test_a_past_moment_is_rebuilt_as_it_was_known_then(desk: Desk, database_urls: DatabaseUrls) -> None:
    before = verdict(desk, as_of=SIGNED_AT + timedelta(minutes=30))
    assert told(before) == []
    assert before.compared["plan"] == 3, "the first plans, by what was recorded then"
    assert verdict(desk, as_of=SIGNED_AT - timedelta(days=1)).contracts == 0
    _tamper(database_urls, "UPDATE core.run SET digest = 'x' WHERE started_at < CAST(:at AS timestamptz)",
            at=SIGNED_AT + timedelta(minutes=30))  # fmt: skip
    assert {one[:3] for one in told(verdict(desk, as_of=SIGNED_AT + timedelta(minutes=30)))} == {
        ("M-1", "plan", "digest"), ("T-1", "plan", "digest"), ("E-1", "plan", "digest"),
    }  # fmt: skip


async def test_what_cannot_be_compared_is_said_and_not_called_equal(desk: Desk, database_urls: DatabaseUrls) -> None:
    await desk.arrive(amended("T-1", 1, {"title": "Waits"}))
    found = verdict(desk)
    assert found.not_all["an event waits for its run"] >= 1
    assert told(found) == []
    _tamper(database_urls, "UPDATE core.event SET data = '{}' WHERE id = 't'")
    found = verdict(desk)
    assert (found.unreadable, found.equal) == (1, False)


async def test_runs_of_other_rules_are_counted_and_not_called_compared(desk: Desk, database_urls: DatabaseUrls) -> None:
    assert verdict(desk).other_rules == 0
    _tamper(database_urls, "UPDATE core.run SET policy = 'another', digest = 'x' WHERE contract_id = "
            "(SELECT contract_id FROM core.contract WHERE external_id = 'M-1')")  # fmt: skip
    found = verdict(desk)
    assert (found.other_rules, told(found)) == (1, [])


async def test_only_one_legal_entity(desk: Desk, database_urls: DatabaseUrls) -> None:
    _tamper(database_urls, "UPDATE core.contract SET title = 'x' WHERE external_id = 'M-1'")
    assert verdict(desk, entity="GB01").contracts == 0
    assert not verdict(desk, entity="US01").equal


async def test_an_outage_and_its_end_leave_the_tables_equal(async_database: AsyncEngine, database: sa.Engine) -> None:
    desk = Desk(async_database, sync=database)
    desk.erp.before = lambda operation, _: ErpUnavailable("cloud", "down") if operation == "create milestone" else None
    await desk.arrive(cloud_event("m", "signed.v1", signed("M-1")))
    await desk.run()
    assert verdict(desk).equal
    desk.erp.before = lambda _operation, _ctx: None
    await desk.run(after=timedelta(hours=2))
    assert (await desk.states()) == {"M-1": "active"}
    assert told(verdict(desk)) == []


def _tamper(urls: DatabaseUrls, text: str, **values: object) -> None:
    """As the owner of the tables, past all of Tieline's rules."""
    engine = sa.create_engine(urls.owner)
    with engine.begin() as conn:
        assert conn.execute(sa.text(text), values).rowcount > 0
    engine.dispose()
