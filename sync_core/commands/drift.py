"""The watch for drift as people use it: have contracts compared now, and have what is ours repaired, by a replay.

A repair is a replay of the contracts with open differences: it is previewed against a fresh read, confirmed, carried
out and read back as any other, and the watch closes the differences when it no longer finds them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from sync_core.audit.audit import Entry
from sync_core.authority import Actor, Permission
from sync_core.commands.desk import Act, CommandRefused, Desk
from sync_core.commands.replay_making import preview
from sync_core.commands.replay_row import ReplayMade
from sync_core.reads.scope import OF_CONTRACT, bound
from sync_core.replay.replay import MOST_ITEMS, Origin
from sync_core.replay.selection import Selection
from sync_core.watch.drift_rows import WATCHED

COMMANDS: Final[Mapping[str, Permission]] = {
    "compare": Permission.REPLAY_PREVIEW,
    "repair": Permission.REPLAY_PREVIEW,
}
TITLE: Final = "Repair of drift"

_CHOSEN: Final = """(CAST(:contracts AS bigint[]) IS NULL OR c.contract_id = ANY(CAST(:contracts AS bigint[])))
    AND (CAST(:entity AS text) = '' OR c.legal_entity = :entity)"""
# In one order everywhere: by id.
_ASK = sa.text(f"""
    INSERT INTO core.drift_check AS d (contract_id, lane, asked_at)
    SELECT c.contract_id, c.lane, CAST(:now AS timestamptz) FROM core.contract AS c
    WHERE c.state = ANY(:watched) AND c.project_ref IS NOT NULL AND c.lane <> '' AND {_CHOSEN} AND {OF_CONTRACT}
    ORDER BY c.contract_id
    ON CONFLICT (contract_id) DO UPDATE SET asked_at = coalesce(d.asked_at, excluded.asked_at), lane = excluded.lane
    RETURNING contract_id
""")
_OURS = sa.text(f"""
    SELECT DISTINCT d.contract_id FROM core.drift AS d JOIN core.contract AS c USING (contract_id)
    WHERE d.closed_at IS NULL AND d.stands = 'ours' AND d.kind <> 'contract' AND {_CHOSEN} AND {OF_CONTRACT}
    ORDER BY d.contract_id LIMIT :most
""")


@dataclass(frozen=True, slots=True)
class ComparisonAsked:
    """How many contracts the workers compare now, before all others."""

    contracts: int


def compare(act: Act, contracts: Sequence[int] | None = None, *, entity: str = "") -> ComparisonAsked:
    """All within reach that are watched, unless narrowed. Raises CommandRefused when that is none."""
    bound_ = {**_bound(act, contracts, entity), "watched": list(WATCHED), "now": act.now}
    asked = act.conn.execute(_ASK, bound_).scalars().all()
    if not asked:
        raise CommandRefused("no contract of these is active in an ERP: there is nothing to compare yet")
    act.note(Entry("drift.compare", f"{len(asked):,} contracts", detail=_said(contracts, entity), items=sorted(asked)))
    return ComparisonAsked(len(asked))


def repair(act: Act, contracts: Sequence[int] | None = None, *, entity: str = "") -> ReplayMade:
    """A replay, to be previewed and confirmed, of the contracts in which something of ours differs in an ERP.

    Raises CommandRefused when there is none.
    """
    found = act.conn.execute(_OURS, {**_bound(act, contracts, entity), "most": MOST_ITEMS}).scalars().all()
    if not found:
        raise CommandRefused("nothing that is ours to repair is open there; `tieline reconcile` compares anew")
    return preview(act, Selection(tuple(found)), origin=Origin.CURRENT, title=TITLE)


def _bound(act: Act, contracts: Sequence[int] | None, entity: str) -> dict[str, object]:
    reach = act.actor.entities(Permission.REPLAY_PREVIEW)
    chosen = None if contracts is None else list(contracts)
    return {"contracts": chosen, "entity": entity.replace("\0", ""), **bound(reach)}


def _said(contracts: Sequence[int] | None, entity: str) -> dict[str, object]:
    return {"contracts": None if contracts is None else len(contracts), "legal_entity": entity or None}


class DriftWatch:
    """For people. Both raise Forbidden and CommandRefused."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def compare(self, actor: Actor, contracts: Sequence[int] | None = None, *, entity: str = "") -> ComparisonAsked:
        """Have the workers compare contracts with their CLM and ERP now."""
        return self._desk.run(actor, Permission.REPLAY_PREVIEW, lambda act: compare(act, contracts, entity=entity))

    def repair(self, actor: Actor, contracts: Sequence[int] | None = None, *, entity: str = "") -> ReplayMade:
        """Have the workers preview what would repair the open differences that are ours."""
        return self._desk.run(actor, Permission.REPLAY_PREVIEW, lambda act: repair(act, contracts, entity=entity))
