"""The HTTP API under /v1: one file a resource. `add_to` puts it into an application."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from app.api import (
    amendments,
    approvals,
    asyncapi,
    audit,
    clients,
    conflicts,
    contracts,
    corrections,
    drift,
    exception_work,
    exceptions,
    finance,
    holds,
    kpis,
    moves,
    openapi,
    policies,
    quarantine,
    renewals,
    replay_work,
    replays,
    saved_filters,
    schedules,
    schemas,
    snapshots,
    status,
    subscribers,
    telemetry,
    traces,
    unknown,
    validations,
)
from app.api.calling import Api

__all__ = ["Api", "add_to"]

# Fixed words of a path before its parameters; what nothing answers comes last.
_RESOURCES = (
    contracts, amendments, saved_filters, exceptions, exception_work, corrections, conflicts, approvals,
    quarantine, moves,
    replays, replay_work, renewals, policies, audit, holds, finance, clients, subscribers, status, kpis, snapshots,
    schedules, telemetry, traces, validations, drift, schemas, openapi, asyncapi, unknown,
)  # fmt: skip


def add_to(app: FastAPI, api: Api) -> None:
    """After the other routes under /v1, before anything mounted at "/". `app.state.bearer` says who calls."""
    app.state.api = api
    whole = APIRouter(prefix="/v1", lifespan=_lifespan)
    for resource in _RESOURCES:
        whole.include_router(resource.routes)
    app.include_router(whole)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Lists that programs read are audited each minute, and at the end."""
    writing = asyncio.create_task(app.state.api.log.run())
    yield
    writing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await writing
