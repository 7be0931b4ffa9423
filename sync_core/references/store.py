"""Where answers about master data are kept (core.reference): written by the workers on change, read by validations.

Most runs learn nothing that is not known already, so each worker remembers what it has stored and stores again only
what changed or has aged; most group commits have no statement of this kind at all.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sync_core.journal.journal import document
from sync_core.references.references import LONGEST_CODE, Answer, Known, Question, What

STORED_AGAIN_AFTER_S: Final = 600.0  # of the machine's clock: an answer that did not change
MOST_WAITING: Final = 2_000  # questions of one ERP that nobody has answered yet
_REMEMBERED: Final = 50_000
_FORGOTTEN_AFTER: Final = timedelta(days=7)

# Sorted, so that two workers that learn the same lock in one order; an older read never stands above a newer one.
_KEEP = sa.text("""
    INSERT INTO core.reference AS r (system, legal_entity, what, code, besides, answer, observed_at)
    SELECT system, legal_entity, what, code, besides, answer, asked_at
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS k(
        system text, legal_entity text, what text, code text, besides text, answer jsonb, asked_at timestamptz)
    ORDER BY system, legal_entity, what, code, besides
    ON CONFLICT (system, legal_entity, what, code, besides) DO UPDATE
    SET answer = excluded.answer, observed_at = excluded.observed_at,
        asked_at = CASE WHEN :of_contracts THEN NULL ELSE r.asked_at END
    WHERE r.observed_at IS NULL OR r.observed_at <= excluded.observed_at
""")
_READ = sa.text("""
    SELECT r.system, r.legal_entity, r.what, r.code, r.besides, CAST(r.answer AS text) AS answer, r.observed_at
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS k(
        system text, legal_entity text, what text, code text, besides text)
    JOIN core.reference AS r USING (system, legal_entity, what, code, besides)
    WHERE r.answer IS NOT NULL
""")
_QUEUE = sa.text("""
    INSERT INTO core.reference (system, legal_entity, what, code, besides, asked_at)
    SELECT system, legal_entity, what, code, besides, CAST(:now AS timestamptz)
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS k(
        system text, legal_entity text, what text, code text, besides text)
    WHERE :most > (SELECT count(*) FROM (
        SELECT FROM core.reference AS w WHERE w.system = k.system AND w.observed_at IS NULL LIMIT :most) AS waiting)
    ORDER BY system, legal_entity, what, code, besides
    ON CONFLICT (system, legal_entity, what, code, besides) DO NOTHING
""")
# What only a validation ever asked for, and no contract since.
_FORGET = sa.text("DELETE FROM core.reference WHERE asked_at < :before")


class Memory:
    """One worker's: what it has stored lately."""

    def __init__(self) -> None:
        self._stored: dict[Question, tuple[Answer, float]] = {}

    async def keep(
        self, conn: AsyncConnection, answers: Sequence[Mapping[Question, Answer]], now: datetime
    ) -> dict[Question, Answer]:
        """Of many runs' answers those that are news; each is stored once. Pass what it returns to `stored`."""
        found = self._news(answers)
        await keep(conn, found, now=now)
        return found

    def _news(self, answers: Sequence[Mapping[Question, Answer]]) -> dict[Question, Answer]:
        found: dict[Question, Answer] = {}
        stale = time.monotonic() - STORED_AGAIN_AFTER_S
        for some in answers:
            for question, answer in some.items():
                known = self._stored.get(question)
                if known is None or known[0] != answer or known[1] <= stale:
                    found[question] = answer
        return found

    def stored(self, answers: Mapping[Question, Answer]) -> None:
        """After the commit."""
        if len(self._stored) + len(answers) > _REMEMBERED:
            self._stored.clear()
        at = time.monotonic()
        self._stored.update({question: (answer, at) for question, answer in answers.items()})


async def keep(
    conn: AsyncConnection,
    answers: Mapping[Question, Answer],
    *,
    now: datetime,
    asked_at: Mapping[Question, datetime] | None = None,
    of_contracts: bool = True,
) -> None:
    """One statement for all. `asked_at`: of those that are older than now, when they were asked for. `of_contracts`:
    contracts refer to them, not only validations. The caller commits.
    """
    asked = asked_at or {}
    rows = [
        {**_key(question), "answer": answer, "asked_at": asked.get(question, now)}
        for question, answer in answers.items()
    ]
    if rows:
        await conn.execute(_KEEP, {"rows": document(rows), "of_contracts": of_contracts})


def read(conn: sa.Connection, questions: Iterable[Question]) -> dict[Question, Known]:
    """Those that are answered."""
    rows = conn.execute(_READ, {"rows": document([_key(question) for question in questions])})
    return {
        Question(r.system, r.legal_entity, What(r.what), r.code, r.besides): Known(answer_of(r.answer), r.observed_at)
        for r in rows
    }


def answer_of(text: str) -> Answer:
    """The inverse of how it is stored."""
    value = orjson.loads(text)
    return tuple(value) if isinstance(value, list) else value


def queue(conn: sa.Connection, questions: Iterable[Question], *, now: datetime) -> int:
    """Have the workers ask the ERPs; how many are new. Codes that no ERP can have are left out. The caller commits."""
    rows = [_key(q) for q in questions if len(q.code) <= LONGEST_CODE and len(q.besides) <= 10 * LONGEST_CODE]
    return conn.execute(_QUEUE, {"rows": document(rows), "now": now, "most": MOST_WAITING}).rowcount if rows else 0


async def forget(conn: AsyncConnection, *, now: datetime) -> int:
    """What was asked for once, by validations alone. The caller commits."""
    return (await conn.execute(_FORGET, {"before": now - _FORGOTTEN_AFTER})).rowcount


def _key(question: Question) -> dict[str, str]:
    return {
        "system": question.system,
        "legal_entity": question.legal_entity,
        "what": question.what.value,
        "code": question.code,
        "besides": question.besides,
    }
