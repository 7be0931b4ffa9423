"""`tieline adopt`: on the first day on a running firm, match an ERP's projects to contracts."""

import asyncio
import csv
import json
import math
import socket
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from uuid import uuid4

import typer

from app.cli.refusals import Exit, Refusal
from app.cli.table import draw, table
from app.cli.work import plain, text

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from app.wiring import Wiring
    from sync_core.commands.adoptions import Adopting
    from sync_core.lanes.lanes import LaneGate
    from sync_core.moving.adoption import Adoption
    from sync_core.ports import ErpConnector

_COLUMNS: Final = ("contract", "project")


def adopt(
    erp: Annotated[str, typer.Option(help="The ERP; the only one without it.")] = "",
    entity: Annotated[str, typer.Option(help="Contracts of this legal entity alone.")] = "",
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="contract,project: the CLM's id and the ERP's own id of each.")
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Decide what is shown; without it nothing is kept.")] = False,
    reason: Annotated[str, typer.Option(help="Why; kept in the audit, needed with --apply.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Rows shown.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object with all contracts, for programs.")] = False,
) -> None:
    """Show which projects of an ERP belong to which contracts, and with --apply adopt them; docs/first_day.md."""
    from app.cli.actor import operator_of_this_machine
    from app.cli.begin import wiring_of
    from sync_core.commands.commands import Commands

    wiring = wiring_of("adopt")
    lane = _lane(wiring, erp)
    named = _named(csv_file) if csv_file is not None else {}
    found = asyncio.run(_survey(wiring, lane, entity, named))
    if not as_json:
        _show(found, limit)
    made = None
    if apply:
        commands = Commands(wiring.engine(pool_size=1), clock=wiring.clock, estate=wiring.estate)
        made = commands.adoptions.adopt(operator_of_this_machine(), found, lane=lane, reason=reason)
    if as_json:
        typer.echo(json.dumps(_told(found, lane, made), indent=2))
        return
    if made is None:
        typer.echo("nothing was kept; --apply decides it")
        return
    typer.echo(
        f"adopted {made.matched:,}; {made.unmatched:,} without a project and {made.ambiguous:,} uncertain become "
        "exceptions, and are not created"
    )


def _lane(wiring: "Wiring", asked: str) -> str:
    known = sorted(wiring.estate.erps)
    if asked in known:
        return asked
    if not asked and len(known) == 1:
        return known[0]
    raise Refusal(f"{plain(asked) or 'no ERP'!s} is not in the estate: choose --erp {' or '.join(known)}", Exit.USAGE)


def _named(file: Path) -> dict[str, str]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.DictReader(lines)
            if not set(_COLUMNS) <= set(rows.fieldnames or ()):
                raise Refusal(f"{plain(file)} has no head row with {' and '.join(_COLUMNS)}", Exit.USAGE)
            return {
                row["contract"].strip(): row["project"].strip() for row in rows if row["contract"] and row["project"]
            }
    except (OSError, UnicodeDecodeError, csv.Error) as wrong:
        raise Refusal(f"{plain(file)} cannot be read: {plain(wrong)}", Exit.USAGE) from wrong


async def _survey(wiring: "Wiring", lane: str, entity: str, named: dict[str, str]) -> "list[Adoption]":
    from sync_core.engine.surveying import survey, unplaced
    from sync_core.keys import Lane
    from sync_core.lanes.lanes import LaneGate
    from sync_core.ports import CallContext

    gates = {name: LaneGate(Lane(name)) for name in wiring.estate.erps}
    connectors = wiring.erps(gates)
    engine = wiring.async_engine(pool_size=4)
    try:
        async with _slots(wiring, engine, connectors, gates, lane):
            wanted = await unplaced(engine, wiring.estate, wiring.clock, lane=lane, entity=entity)
            ctx = CallContext(f"adopt-{uuid4()}", math.inf)  # it holds no lease, and reads as long as it takes
            return await survey(connectors[lane], wanted, named, ctx)
    except ValueError as wrong:
        raise Refusal(f"{plain(wrong)}; write our keys there by hand", Exit.REFUSED) from wrong
    finally:
        for connector in connectors.values():
            await connector.aclose()
        await engine.dispose()


@asynccontextmanager
async def _slots(
    wiring: "Wiring",
    engine: "AsyncEngine",
    connectors: "Mapping[str, ErpConnector]",
    gates: "dict[str, LaneGate]",
    lane: str,
) -> AsyncIterator[None]:
    """As a worker that only reads: it holds slots of the lane, as every call of ours does."""
    from sync_core.engine.lane_watch import LaneWatch
    from sync_core.engine.session import open_session
    from sync_core.lanes import lanes

    async with engine.begin() as conn:
        declared = [(erp, connectors[erp.name].capabilities.settle_s) for erp in wiring.estate.erp]
        await lanes.declare(conn, declared)
    name, now = f"{socket.gethostname()}: adopt", wiring.clock.now()
    async with open_session(wiring.urls.direct, name=name, version=version("tieline"), now=now) as session:
        watch = LaneWatch(engine, connectors, gates, wiring.clock, session.worker_id)
        gates[lane].contracts = 1
        await watch.share_slots(spare=1)
        keeper = asyncio.create_task(watch.keep(asyncio.Event()))
        try:
            yield
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)


def _told(found: "Sequence[Adoption]", lane: str, made: "Adopting | None") -> dict[str, object]:
    """`decided` null: nothing was kept."""
    contracts = [
        {"contract_id": one.contract_id, "contract": one.name, "result": one.result.value, "words": one.words}
        for one in sorted(found, key=lambda one: one.name)
    ]
    return {"erp": lane, "counts": dict(sorted(Counter(one.result.value for one in found).items())),
            "contracts": contracts, "decided": asdict(made) if made else None}  # fmt: skip


def _show(found: "Sequence[Adoption]", limit: int) -> None:
    counted = Counter(one.result for one in found)
    drawn = table("contract", "result", "what was found")
    # What a person has to look at comes first.
    for one in sorted(found, key=lambda one: (one.result in ("matched", "keyed"), one.name))[:limit]:
        drawn.add_row(text(one.name), one.result.value, text(one.words))
    draw(drawn)
    typer.echo(", ".join(f"{n:,} {result}" for result, n in counted.items()) or "no contract waits for a project there")
