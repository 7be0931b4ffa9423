"""The amendments of one contract: before and after each, when it was known here and when it was in the ERP."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from sync_core.contract import Contract
from sync_core.engine.carried_out import CARRIED_OUT
from sync_core.errors import StoredEventUnreadable
from sync_core.estate.estate import Estate
from sync_core.events import Event
from sync_core.findings import Difference
from sync_core.fold import fold
from sync_core.intake.contract_events import stored
from sync_core.life import amendments as core
from sync_core.life.contract_words import Change
from sync_core.life.restated import differences
from sync_core.life.reused import anew, may_be, with_own
from sync_core.reads.scope import CONTRACT, Entities, bound

MOST_EVENTS: Final = 1_000


@dataclass(frozen=True, slots=True)
class AmendmentRow:
    """Times are UTC. `synced_at` None: not in the ERP yet, or nothing that it changes is known to be.

    `later` is not in the ERP before `later_from`; where that is all that it changes, neither is `synced_at`.
    """

    step: core.AmendmentStep
    received_at: datetime
    synced_at: datetime | None
    later_from: datetime | None = None  # midnight of the legal entity; None: nothing of it waits for a day

    @property
    def later(self) -> tuple[Change, ...]:
        return self.step.later if self.later_from else ()

    @property
    def lag(self) -> timedelta | None:
        """From its execution, or the day from which all of it holds, to the read-back; never below zero."""
        since = self.step.executed_at
        if self.later_from is not None and self.step.all_later:
            since = max(since, self.later_from)
        return None if self.synced_at is None else max(self.synced_at - since, timedelta())


@dataclass(frozen=True, slots=True)
class AmendmentHistory:
    """Oldest first. `contract` None: no event of it can be read."""

    contract_id: int
    external_id: str
    title: str
    legal_entity: str
    contract: Contract | None
    amendments: tuple[AmendmentRow, ...] = ()
    silent: tuple[Difference, ...] = ()  # published otherwise although no amendment says so
    silent_since: datetime | None = None  # when that was received first
    books: core.Schedule | None = None  # as it stands now
    read_at: datetime | None = None  # when its ERP was last found as wanted
    invoiced_at: datetime | None = None  # up to when its ERP was read for what is invoiced; None: it was not yet
    unreadable: str = ""  # why some of it cannot be told
    more_events: bool = False  # there are more events than are read


@dataclass(frozen=True, slots=True)
class ReadBack:
    """When an ERP was as wanted, and what is known of what it was compared with: a revision, or an amendment."""

    rev: int | None
    amendment: int | None
    since: datetime
    at: datetime


_CONTRACT: Final = sa.text(f"""
    SELECT contract_id, source, external_id, title, legal_entity FROM core.contract
    WHERE contract_id = :contract AND {CONTRACT}
""")
_EVENTS: Final = sa.text("""
    SELECT source, id, type, occurred_at, recorded_at, CAST(data AS text) AS data FROM core.event
    WHERE source = :source AND external_id = :external_id ORDER BY seq LIMIT :rows
""")
_INVOICED: Final = sa.text("""
    SELECT substr(business_key, strpos(business_key, '#M:') + 3) AS key, invoiced,
           coalesce(fields ->> 'currency', '') AS currency, confirmed_at
    FROM core.crosswalk
    WHERE contract_id = :contract AND kind = 'milestone' AND state = 'confirmed' AND invoiced IS NOT NULL
""")
# The watch for drift keeps what it reads to be invoiced.
_COMPARED: Final = sa.text("""
    SELECT checked_at FROM core.drift_check WHERE contract_id = :contract AND outcome IN ('same', 'differs')
""")
# Runs that found the whole contract as wanted, and the amendment up to which it was active then. `rev` alone does not
# say what a run saw: more than events raises it.
_READ_BACK: Final = sa.text("""
    SELECT rev, CAST(NULL AS bigint) AS amendment, started_at AS since, finished_at AS at FROM core.run
    WHERE contract_id = :contract AND outcome = 'converged' AND state IN ('active', 'suspended', 'ended')
    UNION ALL
    SELECT NULL, amendment, recorded_at, occurred_at FROM core.progress
    WHERE contract_id = :contract AND step = 'active' AND amendment IS NOT NULL
""")


def amendment_history(
    conn: sa.Connection, contract_id: int, estate: Estate, *, entities: Entities
) -> AmendmentHistory | None:
    """None when there is no such contract of these legal entities."""
    row = conn.execute(_CONTRACT, {"contract": contract_id, **bound(entities)}).one_or_none()
    if row is None:
        return None
    bare = AmendmentHistory(row.contract_id, row.external_id, row.title, row.legal_entity, None)
    asked = {"source": row.source, "external_id": row.external_id, "rows": MOST_EVENTS + 1}
    rows = conn.execute(_EVENTS, asked).all()
    try:
        events = [stored(one) for one in rows[:MOST_EVENTS]]
    except StoredEventUnreadable as wrong:
        return replace(bare, unreadable=wrong.message)
    if not events:
        return bare
    told = conn.execute(_INVOICED, {"contract": contract_id}).all()
    invoiced, billed_in = (
        {one.key: Decimal(one.invoiced) for one in told},
        {k.key: k.currency for k in told if k.currency},
    )
    contract = fold(events, day_at=estate.day_at)
    own = _own(conn, contract_id, contract, events, estate)
    contract = with_own(contract, own)
    received = {one.id: one.recorded_at for one in rows}
    ranks = {one.id: rank for rank, one in enumerate(rows, 1)}
    read = [ReadBack(*one) for one in conn.execute(_READ_BACK, {"contract": contract_id})]
    compared = conn.scalar(_COMPARED, {"contract": contract_id})
    seen = [one.at for one in read] + [one.confirmed_at for one in told if one.confirmed_at is not None]
    seen += [compared] if compared is not None else []
    entity = estate.entities.get(row.legal_entity)
    zone = ZoneInfo(entity.timezone if entity else "UTC")
    found = tuple(
        _row(step, ranks[step.event_id], received[step.event_id], read, zone)
        for step in core.amendments(events, invoiced, billed_in, day_at=estate.day_at, own=own)
    )
    return replace(
        bare,
        contract=contract,
        amendments=found,
        silent=differences(contract) if contract.differs_silently else (),
        silent_since=received.get(contract.silent_since or "") if contract.silent_since else None,
        books=core.books(contract, invoiced, billed_in),
        read_at=max((one.at for one in read), default=None),
        invoiced_at=max(seen, default=None),
        more_events=len(rows) > MOST_EVENTS,
    )


def _own(
    conn: sa.Connection, contract_id: int, contract: Contract, events: Sequence[Event], estate: Estate
) -> frozenset[str]:
    """Milestones with keys of an agreement before that were carried out for the one that stands."""
    if not contract.earlier or not may_be(events):
        return frozenset()
    done = [known for row in conn.execute(CARRIED_OUT, {"ids": [contract_id]}) for known in row.known]
    signed = anew(contract, events, done, estate.day_at)
    return signed.own if signed is not None else frozenset()


def _row(
    step: core.AmendmentStep, rank: int, received_at: datetime, read: Sequence[ReadBack], zone: ZoneInfo
) -> AmendmentRow:
    since, begins = received_at, None
    if step.later and step.effective_on and step.effective_on > received_at.astimezone(zone).date():
        begins = datetime.combine(step.effective_on, time(), zone).astimezone(UTC)
        since = begins if step.all_later else received_at
    synced = None if step.comparison is None else first_knowing(step.number, rank, since, read)
    return AmendmentRow(step, received_at, synced, begins)


def first_knowing(number: int, rank: int, since: datetime, read: Sequence[ReadBack]) -> datetime | None:
    """The first read-back that knew of the amendment. `since`: when it was received, as the KPI asks too, or the day
    from which all of it holds.
    """
    knowing = (one.at for one in read if one.since >= since and _knows(one, number, rank))
    return min(knowing, default=None)


def _knows(one: ReadBack, number: int, rank: int) -> bool:
    return one.rev >= rank if one.rev is not None else (one.amendment or 0) >= number
