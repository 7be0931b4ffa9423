"""Where the agreements of a contract begin, and until when it bills, as the fold of its events says; for SQL on facts.

What is published again, waits behind a gap or uses a number again begins no agreement and ends none
(sync_core/life/agreements.py). So the fold itself is asked, contract by contract: of those that ended or were to alone,
and of these only where something may follow from it. Of a contract with an event that this release cannot read, a
signature begins anew after an end that was said.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from itertools import groupby
from typing import Any, Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from metrics.facts._fold_order import FOLD_ORDER
from sync_core.contract import Contract, Stage
from sync_core.errors import StoredEventUnreadable
from sync_core.estate.estate import Estate
from sync_core.events import PREFIX, Event, Signed
from sync_core.fold import FoldStep, fold_steps
from sync_core.intake.contract_events import stored
from sync_core.life.lifecycle import on_day

# Looked up contract by contract (LIMIT), as few have ended.
_EVENTS: Final = sa.text(f"""
    SELECT c.contract_id, c.legal_entity, e.seq, e.source, e.id, e.type, split_part(e.type, '.', 4) AS what,
           e.occurred_at, e.recorded_at, CAST(e.data AS text) AS data,
           metrics.moment_of(e.data ->> 'signed_at') AS signed_at,
           row_number() OVER (PARTITION BY c.contract_id ORDER BY {FOLD_ORDER}) AS place
    FROM core.contract AS c
         CROSS JOIN LATERAL (
             SELECT FROM core.event AS x WHERE x.source = c.source AND x.external_id = c.external_id
                AND x.type IN ('{PREFIX}cancelled.v1', '{PREFIX}terminated.v1', '{PREFIX}renewal_declined.v1') LIMIT 1
         ) AS x
         CROSS JOIN LATERAL (
             SELECT count(*) FILTER (WHERE n.type = '{PREFIX}signed.v1') AS signatures,
                    count(*) FILTER (WHERE n.type = '{PREFIX}renewal_declined.v1') AS declined
             FROM core.event AS n WHERE n.source = c.source AND n.external_id = c.external_id
         ) AS n
         JOIN core.event AS e USING (source, external_id)
    WHERE c.contract_id = ANY(:ids) AND (n.signatures > 1 OR n.declined > 0 AND c.billing = 'milestones')
    ORDER BY c.contract_id, e.recorded_at, e.seq
""")
_ENDS: Final = ("cancelled", "terminated", "renewal_declined")


@dataclass(frozen=True, slots=True)
class _Agreed:
    begun: Sequence[tuple[int, date]]  # signatures by their number in the store, with their days; the newest last
    stands: int | None  # the signature; None: there is none, or the contract ended
    last_day: date | None = None  # of a contract whose renewal was declined


def known(conn: sa.Connection, ids: Sequence[int], estate: Estate) -> dict[str, object]:
    """What BEGUN and HEARD (metrics/facts/_fold_order.py) bind, of these contracts."""
    begun: list[tuple[int, int, date]] = []
    heard: list[tuple[int, datetime, int | None, date | None]] = []
    rows = conn.execute(_EVENTS, {"ids": list(ids)})
    for contract_id, group in groupby(rows, key=lambda row: int(row.contract_id)):
        told = list(group)
        for at, agreed in _by_month(told, estate):
            heard.append((contract_id, at, agreed.stands, agreed.last_day))
        begun += ((contract_id, seq, day) for seq, day in agreed.begun)  # of the last month: of all that came
    return {
        "begun_of": [one[0] for one in begun],
        "begun_seq": [one[1] for one in begun],
        "begun_on": [one[2] for one in begun],
        "heard_of": [one[0] for one in heard],
        "heard_at": [one[1] for one in heard],
        "heard_seq": [one[2] for one in heard],
        "heard_until": [one[3] for one in heard],
    }


def _by_month(told: Sequence[sa.Row[Any]], estate: Estate) -> Iterator[tuple[datetime, _Agreed]]:
    """As it was known at the end of each month of the group in which something came, since an end was said."""
    zone = ZoneInfo(estate.group.timezone)
    months = [(at.year, at.month) for at in (row.recorded_at.astimezone(zone) for row in told)]
    over = False
    for n, row in enumerate(told):
        over = over or row.what in _ENDS
        if over and (n + 1 == len(told) or months[n + 1] != months[n]):
            yield row.recorded_at, _agreed(told[: n + 1], estate)


def _agreed(told: Sequence[sa.Row[Any]], estate: Estate) -> _Agreed:
    try:
        events = [stored(row) for row in told]
        return _folded({row.id: row.seq for row in told}, events, estate)
    except StoredEventUnreadable:
        return _said(told, estate)


def _folded(numbers: dict[str, int], events: Sequence[Event], estate: Estate) -> _Agreed:
    steps = fold_steps(events, day_at=partial(_day_at, estate))
    begun = [(numbers[step.event.id], _day(step, estate)) for step in steps if step.begins]
    first = [numbers[step.event.id] for step in steps if isinstance(step.event.payload, Signed)]
    stands = begun[-1][0] if begun else first[0] if first else None
    after = steps[-1].after
    return _Agreed(begun, stands if after.stage is Stage.SIGNED else None, _last_day(after))


def _day(step: FoldStep, estate: Estate) -> date:
    signed, terms = step.after.signed_at, step.after.terms
    assert signed is not None and terms is not None  # noqa: S101, PT018 - a signature begins it
    return _day_at(estate, terms.legal_entity, signed)


def _day_at(estate: Estate, entity: str, at: datetime) -> date:
    try:
        return estate.day_at(entity, at)
    except OverflowError:  # at the edge of the calendar, where no contract may stop the measures
        return at.date()


def _last_day(contract: Contract) -> date | None:
    """After all renewals that come before the declined one."""
    return on_day(replace(contract, ended_on=None), date.max).ended_on


def _said(told: Sequence[sa.Row[Any]], estate: Estate) -> _Agreed:
    begun: list[tuple[int, date]] = []
    stands: int | None = None
    ended = False
    for row in sorted(told, key=lambda row: int(row.place)):
        if row.what == "signed" and (stands is None or ended):
            if stands is not None and row.signed_at is not None:
                begun.append((row.seq, _day_at(estate, row.legal_entity, row.signed_at)))
            stands, ended = row.seq, False
        ended = ended or row.what in ("cancelled", "terminated")
    return _Agreed(begun, None if ended else stands)
