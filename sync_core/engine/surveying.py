"""What an ERP holds against all contracts that have no project there yet: adoption is decided by it. Writes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.clock import Clock
from sync_core.desired import Found
from sync_core.engine import claim as queue
from sync_core.engine.look import intend, representable
from sync_core.engine.pairing import Pairing
from sync_core.errors import StoredEventUnreadable
from sync_core.estate.estate import Estate
from sync_core.keys import ContractId
from sync_core.moving.adoption import UNDECIDED, Adoption, Wanted, candidates
from sync_core.ports import CallContext, ErpConnector, ListsProjects

_BATCH = 500
_UNPLACED = sa.text(f"""
    SELECT c.contract_id FROM core.contract AS c
    WHERE c.lane = :lane AND c.state NOT IN ('draft', 'ended')
      AND (CAST(:entity AS text) = '' OR c.legal_entity = :entity)
      AND NOT EXISTS (SELECT FROM core.crosswalk AS x WHERE x.contract_id = c.contract_id AND x.kind = 'project'
                      AND x.state = 'confirmed' AND x.system = :lane AND NOT {UNDECIDED})
    ORDER BY c.contract_id
""")


async def unplaced(engine: AsyncEngine, estate: Estate, clock: Clock, *, lane: str, entity: str) -> list[Wanted]:
    """Signed contracts of an ERP without a project that Tieline knows of, and without anything that stops them."""
    async with engine.connect() as conn:
        ids = [ContractId(row[0]) for row in await conn.execute(_UNPLACED, {"lane": lane, "entity": entity})]
    wanted: list[Wanted] = []
    for begin in range(0, len(ids), _BATCH):
        async with engine.connect() as conn:
            loaded = await queue.load(conn, ids[begin : begin + _BATCH])
        for contract_id, known in loaded.items():
            try:
                intent = intend(known, estate, {}, now=clock.now())
            except StoredEventUnreadable:
                continue
            if intent.desired is not None and intent.desired.project is not None and intent.lane == lane:
                wanted.append(Wanted(contract_id, str(intent.contract.external_id), intent.desired))
    return wanted


async def survey(
    connector: ErpConnector, wanted: Sequence[Wanted], named: Mapping[str, str], ctx: CallContext
) -> list[Adoption]:
    """One for each contract, in their order. Raises what the connector raises while its projects are listed, and
    ValueError where it cannot list them.
    """
    if not isinstance(connector, ListsProjects):
        raise ValueError(f"{connector.name} cannot list its projects")
    held: list[Found] = []
    cursor, more = None, True
    while more:
        page = await connector.projects(cursor, ctx)
        held += page.projects
        cursor, more = page.cursor, page.more
    # As this ERP would hold them: with its short names, for instance.
    wanted = [replace(one, desired=representable(one.desired, connector.capabilities)) for one in wanted]
    return await Pairing(connector, candidates(wanted, held, named), ctx).all_of(wanted)
