"""The sandbox CLM as a process of its own: uvicorn, and one task that pushes webhooks as they come due."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import uvicorn
from httpx_aiohttp import HttpxAiohttpClient
from starlette.applications import Starlette

from app.sandbox.clm.app import SandboxClm
from app.sandbox.clm.server import build
from app.sandbox.clm.webhooks import Delivery, DeliveryFailed, FaultRates, Send, Target
from sync_core.clock import Clock, SystemClock

_LOG = logging.getLogger(__name__)
_RECEIVER_TIMEOUT_S = 15
_LONGEST_NAP_S = 1.0


def http_send(client: httpx.AsyncClient) -> Send:
    """POSTs deliveries with `client`."""

    async def send(delivery: Delivery) -> int:
        try:
            answer = await client.post(delivery.url, content=delivery.body, headers=delivery.headers)
        except httpx.HTTPError as wrong:
            raise DeliveryFailed(f"{delivery.url}: {wrong!r}; it is retried") from wrong
        return answer.status_code

    return send


async def pump(clm: SandboxClm, send: Send) -> None:
    """Deliver what is due, for ever; a new event wakes it at once, so only retries and delays wait for the nap."""
    woken = asyncio.Event()
    clm.on_event = woken.set
    while True:
        woken.clear()
        await clm.deliver_due(send)
        due = clm.next_due()
        nap = _LONGEST_NAP_S if due is None else min((due - clm.clock.now()).total_seconds(), _LONGEST_NAP_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(nap, 0.01)):
                await woken.wait()


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (wrong := task.exception()) is not None:
        _LOG.critical("webhooks are no longer delivered; restart the sandbox CLM", exc_info=wrong)


def build_process(
    clock: Clock,
    *,
    seed: int,
    token: str,
    webhook: Target | None = None,
    faults: FaultRates = FaultRates(),
    journal: Path | None = None,
) -> SandboxClm:
    """Like `server.build`, and pushes webhooks by itself while its ASGI lifespan runs."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with HttpxAiohttpClient(timeout=_RECEIVER_TIMEOUT_S, trust_env=False) as client:
            task = asyncio.create_task(pump(clm, http_send(client)))
            task.add_done_callback(_report)
            try:
                yield
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                clm.close()

    clm = build(clock, seed=seed, token=token, webhook=webhook, faults=faults, journal=journal, lifespan=lifespan)
    return clm


def serve(
    *,
    host: str,
    port: int,
    token: str,
    seed: int,
    webhook: Target | None = None,
    faults: FaultRates = FaultRates(),
    journal: Path | None = None,
) -> None:
    """Run until SIGINT or SIGTERM, on the machine's clock. Port 0 takes a free one; uvicorn logs which."""
    clm = build_process(SystemClock(), seed=seed, token=token, webhook=webhook, faults=faults, journal=journal)
    uvicorn.run(clm, host=host, port=port, log_level="info", access_log=False, timeout_graceful_shutdown=5)
