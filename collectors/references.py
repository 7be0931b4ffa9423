"""Master data that validations answer from, read anew before it is too old, and what they asked in vain.

Every read goes through the connector, so it holds a slot of its lane like any other; a lane whose breaker is not closed
is left alone, and the first trouble ends the round: the next one goes on with the oldest.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.clock import Clock
from sync_core.errors import ErpRejected
from sync_core.estate.estate import Estate
from sync_core.journal.journal import document
from sync_core.ports import CallContext, ErpConnector, Scope
from sync_core.references import store
from sync_core.references.references import Answer, Question, What, answers_of, month_of
from sync_core.references.refresh import scopes_of
from sync_core.telemetry.latencies import LATENCIES

log = logging.getLogger(__name__)

MOST_READS: Final = 60  # of one ERP in a round
_MOST_QUESTIONS: Final = 2_000
_WITHOUT_CODE: Final = frozenset({What.CAPABILITIES, What.LEGAL_ENTITY, What.TAX_CODE})

_CLOSED = sa.text("SELECT breaker FROM core.lane WHERE lane = :lane")
# A new month's periods have not been seen by any run yet.
_PERIODS = sa.text("""
    INSERT INTO core.reference (system, legal_entity, what, code)
    SELECT system, legal_entity, 'period', :month FROM core.reference
    WHERE system = :system AND what = 'legal_entity' AND answer <> '""' ORDER BY legal_entity
    ON CONFLICT (system, legal_entity, what, code, besides) DO NOTHING
""")
_DUE = sa.text("""
    SELECT legal_entity, what, code, besides FROM core.reference
    WHERE system = :system AND legal_entity = ANY(:entities) AND what <> 'capabilities'
      AND (what <> 'period' OR code = :month) AND (observed_at IS NULL OR observed_at <= :before)
    ORDER BY observed_at NULLS FIRST, legal_entity, what, code LIMIT :most
""")
# Of what the ERP refused to be asked, only what a validation alone ever named: the rest stood in one read with it.
_DROP = sa.text("""
    DELETE FROM core.reference AS r
    USING jsonb_to_recordset(CAST(:rows AS jsonb)) AS k(
        legal_entity text, what text, code text, besides text, refused boolean)
    WHERE r.system = :system AND r.legal_entity = k.legal_entity AND r.what = k.what AND r.code = k.code
      AND r.besides = k.besides AND (r.asked_at IS NOT NULL OR NOT k.refused)
""")
_PAST = sa.text("DELETE FROM core.reference WHERE system = :system AND what = 'period' AND code < :month")


async def collect(
    engine: AsyncEngine, connector: ErpConnector, *, estate: Estate, clock: Clock, call_timeout_s: float = 60.0
) -> int:
    """How many reads it took. Commits. Raises the connector's errors."""
    due = await _due(engine, connector.name, estate, clock.now())
    answers: dict[Question, Answer] = {}
    asked_at: dict[Question, datetime] = {}
    refused: set[tuple[str, str]] = set()
    reads = 0
    try:
        for scope in scopes_of(due)[:MOST_READS]:
            reads += 1
            began = clock.now()
            try:
                found = await _ask(connector, scope, clock, call_timeout_s)
                answers |= found
                asked_at |= dict.fromkeys(found, began)
            except ErpRejected as wrong:  # a code that the ERP will not even be asked for
                log.info("master data could not be read: %s", wrong)
                refused |= {(scope.legal_entity, code) for code in _codes(scope)}
    finally:
        await _keep(engine, connector.name, due, answers, asked_at, refused, clock.now())
    return reads


async def _due(engine: AsyncEngine, system: str, estate: Estate, now: datetime) -> list[Question]:
    bound = {"system": system, "month": month_of(now), "entities": list(estate.entities), "most": _MOST_QUESTIONS,
             "before": now - estate.watch.references_age}  # fmt: skip
    async with engine.begin() as conn:
        await store.forget(conn, now=now)
        if await conn.scalar(_CLOSED, {"lane": system}) != "closed":
            return []
        await conn.execute(_PERIODS, {"system": system, "month": bound["month"]})
        rows = await conn.execute(_DUE, bound)
        return [Question(system, row.legal_entity, What(row.what), row.code, row.besides) for row in rows]


async def _ask(connector: ErpConnector, scope: Scope, clock: Clock, call_timeout_s: float) -> dict[Question, Answer]:
    ctx = CallContext(f"references:{connector.name}", time.monotonic() + call_timeout_s)
    month = month_of(clock.now())
    try:
        observed = await connector.observe(scope, ctx)
    finally:
        LATENCIES.calls(ctx.calls)
    found = answers_of(connector.name, scope, observed, connector.capabilities, month)
    # What stood in for something that nobody asked for.
    return {q: answer for q, answer in found.items() if q.code or q.what in _WITHOUT_CODE}


def _codes(scope: Scope) -> tuple[str, ...]:
    named = (scope.customer, scope.tax_code or "", scope.payment_terms)
    return (*named, *scope.labour_categories, *scope.revenue_categories)


async def _keep(
    engine: AsyncEngine, system: str, due: Sequence[Question], answers: Mapping[Question, Answer],
    asked_at: Mapping[Question, datetime], refused: AbstractSet[tuple[str, str]], now: datetime,
) -> None:  # fmt: skip
    """An answer is as old as the moment before its read: what a run saw after that stands above it."""
    left = [question for question in due if question not in answers]
    gone = [q for q in left if (q.legal_entity, q.code) in refused or _pointless(q, answers)]
    if not answers and not gone:
        return
    rows = [
        {"legal_entity": q.legal_entity, "what": q.what, "code": q.code, "besides": q.besides,
         "refused": (q.legal_entity, q.code) in refused}
        for q in gone
    ]  # fmt: skip
    async with engine.begin() as conn:
        await store.keep(conn, answers, now=now, asked_at=asked_at, of_contracts=False)
        await conn.execute(_DROP, {"system": system, "rows": document(rows)})
        await conn.execute(_PAST, {"system": system, "month": month_of(now)})


def _pointless(question: Question, answers: Mapping[Question, Answer]) -> bool:
    """Asked under circumstances that hold no more: of a customer who was not there yet, of an entity that is gone."""
    entity, code = question.legal_entity, question.code
    if answers.get(Question(question.system, entity, What.LEGAL_ENTITY, "")) == "":
        return True
    taxed = ((q.legal_entity, q.code) for q in answers if q.what is What.CUSTOMER_TAX)
    return question.what is What.CUSTOMER_TAX and (entity, code) in taxed
