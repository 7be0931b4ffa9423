"""Which reads answer which questions, and what becomes of those that no read can answer."""

from collections.abc import Mapping
from datetime import timedelta

import sqlalchemy as sa
from hypothesis import given, settings
from sqlalchemy.ext.asyncio import AsyncEngine

from collectors import references
from sync_core.engine.look import intend_of, scope_of
from sync_core.errors import ErpRejected
from sync_core.ports import CallContext, Observation, Scope
from sync_core.references import store
from sync_core.references.references import Answer, Question, What, answers_of, month_of, questions_of
from sync_core.references.refresh import scopes_of
from tests.engine.governed import Desk
from tests.sows import SIGNED_AT, estate
from tests.watch.test_validation_rules import draft_of
from tests.watch.worlds import World, terms, worlds

ESTATE, MONTH = estate(), month_of(SIGNED_AT)


@given(terms(), worlds)
@settings(max_examples=200, deadline=None)
def test_reads_for_its_questions_say_what_a_read_for_the_contract_says(stated: dict[str, object], world: World) -> None:
    intent = intend_of(draft_of(stated).signed(SIGNED_AT), None, ESTATE, {}, now=SIGNED_AT)
    if intent.desired is None:
        return
    scope = scope_of(intent.contract, intent.desired, ESTATE)
    wanted = answers_of("cloud", scope, world.observe(scope), world.capabilities, MONTH)
    found: dict[Question, Answer] = {}
    for read in scopes_of(questions_of("cloud", scope, MONTH)):
        found |= answers_of("cloud", read, world.observe(read), world.capabilities, MONTH)
    assert _without_absent(wanted, scope.legal_entity).items() <= found.items()


def _without_absent(answers: Mapping[Question, Answer], entity: str) -> dict[Question, Answer]:
    return {question: answer for question, answer in answers.items() if question.legal_entity in ("", entity)}


async def test_a_code_that_the_erp_refuses_stops_no_other(async_database: AsyncEngine, database: sa.Engine) -> None:
    desk = Desk(async_database, sync=database)
    bad = Question("cloud", "US01", What.CUSTOMER, "bad")
    asked = [bad, Question("cloud", "US01", What.TAX_CODE, "US-CA-STD"), Question("cloud", "US01", What.CUSTOMER, "no")]
    with database.begin() as conn:
        assert store.queue(conn, asked, now=desk.clock.now()) == 3
        assert store.queue(conn, asked, now=desk.clock.now()) == 0
    worker = desk._worker = await desk.worker()
    await worker.lanes.share_slots(spare=8)
    first = True

    def refuses(_operation: str, _ctx: object) -> ErpRejected | None:
        nonlocal first
        told, first = (ErpRejected("cloud", "what a code") if first else None), False
        return told

    desk.erp.before = refuses
    await references.collect(desk.engine, worker.connectors["cloud"], estate=desk.estate, clock=desk.clock)
    kept = {(what, code): answer for what, code, answer in await desk.rows(
        "SELECT what, code, answer FROM core.reference WHERE what IN ('customer', 'tax_code')")}  # fmt: skip
    assert ("customer", "bad") not in kept
    assert kept["customer", "no"] == []


async def test_no_more_than_so_many_unknown_codes_wait(async_database: AsyncEngine, database: sa.Engine) -> None:
    desk = Desk(async_database, sync=database)
    many = [Question("cloud", "US01", What.CUSTOMER, f"C{n}") for n in range(store.MOST_WAITING)]
    more = [Question("cloud", "US01", What.CUSTOMER, f"D{n}") for n in range(10)]
    with database.begin() as conn:
        store.queue(conn, many, now=desk.clock.now())
    with database.begin() as conn:
        assert store.queue(conn, more, now=desk.clock.now()) == 0


async def test_what_a_run_saw_after_the_read_stands_above_it(async_database: AsyncEngine, database: sa.Engine) -> None:
    desk = Desk(async_database, sync=database)
    asked = Question("cloud", "US01", What.TAX_CODE, "US-CA-STD")
    with database.begin() as conn:
        store.queue(conn, [asked], now=desk.clock.now())
    worker = desk._worker = await desk.worker()
    await worker.lanes.share_slots(spare=8)
    cloud = worker.connectors["cloud"]

    class Slow:
        """Its answer arrives ten seconds late; five before that, a run has stored what it saw."""

        name, capabilities = cloud.name, cloud.capabilities

        async def observe(self, scope: Scope, ctx: CallContext) -> Observation:
            read = await cloud.observe(scope, ctx)
            desk.virtual.advance(timedelta(seconds=5))
            async with desk.engine.begin() as conn:
                await store.keep(conn, {asked: "seen by the run"}, now=desk.clock.now())
            desk.virtual.advance(timedelta(seconds=5))
            return read

    await references.collect(desk.engine, Slow(), estate=desk.estate, clock=desk.clock)  # type: ignore[arg-type]
    assert await desk.rows("SELECT answer FROM core.reference WHERE what = 'tax_code'") == [("seen by the run",)]
