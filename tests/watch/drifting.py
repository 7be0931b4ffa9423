"""Test only: a watch over contracts that are active, and what it found."""

from dataclasses import replace
from typing import Any

from collectors.drift import Watch
from sync_core.authority import person
from sync_core.desired import Kind
from sync_core.estate.estate import Estate
from sync_core.ports import ClmConnector
from sync_core.reads.drift import DriftFilter
from tests.engine.governed import Desk
from tests.sows import SOURCE

ADA = person("ada@example.com", ["operator"])
BEN = person("ben@example.com", ["approver"])


async def look(desk: Desk, *, clm: ClmConnector | None = None, estate: Estate | None = None, most: int = 10) -> str:
    assert desk._worker is not None
    await desk._worker.lanes.share_slots(spare=8)
    clms = {SOURCE: clm} if clm else {}
    watch = Watch(desk.engine, desk._worker.connectors["cloud"], clms, estate or desk.estate, desk.clock)
    words, _ = await watch.round(most=most)
    return words


def found(desk: Desk, **wanted: Any) -> list[tuple[str, str, str, str | None, str | None, str]]:
    rows = desk.reads.drift(DriftFilter(**wanted)).rows
    told = [(row.external_id, row.kind, row.field, row.ours, row.theirs, row.stands.value) for row in rows]
    return sorted(told, key=str)


def alter(desk: Desk, kind: Kind, key: str, **fields: object) -> None:
    """Somebody changes an object in the ERP."""
    [held] = [one for one in desk.erp.of(kind) if one.key == key]
    desk.erp.hold(replace(held, fields={**held.fields, **fields}))  # type: ignore[dict-item]
