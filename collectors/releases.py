"""Which releases run: of Tieline's workers, of the database, and of the ERPs and CLMs whose connectors can ask.

A system that does not answer is left out until it does; its lane and its poll say what is wrong with it.
"""

import logging
import time
from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.clock import Clock
from sync_core.errors import ClmError, ErpError
from sync_core.ports import CallContext, ClmConnector, ErpConnector, TellsClmVersion, TellsVersion
from sync_core.telemetry import releases
from sync_core.telemetry.latencies import LATENCIES

log = logging.getLogger(__name__)


async def collect(
    engine: AsyncEngine,
    erps: Mapping[str, ErpConnector],
    clms: Mapping[str, ClmConnector],
    *,
    clock: Clock,
    tieline: str | None = None,
    call_timeout_s: float = 60.0,
) -> tuple[str, ...]:
    """The systems that run a new release; `tieline` is the asking process's own version. Commits."""
    told = {} if tieline is None else {releases.TIELINE: tieline}
    for erp in erps.values():
        if isinstance(erp, TellsVersion) and (version := await _of_erp(erp, call_timeout_s)):
            told[releases.erp(erp.name)] = version
    for clm in clms.values():
        if isinstance(clm, TellsClmVersion) and (version := await _of_clm(clm)):
            told[releases.clm(clm.name)] = version
    async with engine.begin() as conn:
        return await releases.seen_around(conn, told, now=clock.now())


async def _of_erp(erp: TellsVersion, call_timeout_s: float) -> str | None:
    ctx = CallContext(f"release:{erp.name}", time.monotonic() + call_timeout_s)
    try:
        return await erp.version(ctx)
    except ErpError as down:
        log.info("the release of %s is not known: %s", erp.name, down)
        return None
    finally:
        LATENCIES.calls(ctx.calls)


async def _of_clm(clm: TellsClmVersion) -> str | None:
    try:
        return await clm.version()
    except ClmError as down:
        log.info("the release of %s is not known: %s", clm.name, down)
        return None
