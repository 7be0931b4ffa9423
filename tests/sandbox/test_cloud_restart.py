"""sandbox-cloud: what it remembers over a restart and a kill."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from pathlib import Path

import httpx
import orjson
import pytest

from app.sandbox.cloud.store import Store
from sync_core.desired import Kind
from sync_core.ports import FinancialKind
from tests.contracts.cases import SECRET, context
from tests.sandbox.clouds import cloud, facts, fixed_fee, provision, token_form


async def test_a_restart_keeps_records_numbers_and_business_life(tmp_path: Path) -> None:
    state = tmp_path / "cloud.journal"
    async with cloud(state=state) as it:
        made = await provision(it.erp, fixed_fee())
        it.app.billing.advance(date(2031, 1, 31))
        gone = made[Kind.MILESTONE, fixed_fee().of(Kind.MILESTONE)[2].key]
        await it.erp.close(Kind.MILESTONE, gone, context())
        with pytest.raises(RuntimeError, match="in use"):
            Store(state)
    with state.open("ab") as torn:
        torn.write(b'[["project","PRJ-000009",{"id":"PRJ-')
    for _ in range(2):  # the second start reads what the first one rewrote
        async with cloud(state=state) as it:
            found = (await it.erp.observe(fixed_fee().scope, context())).found
            assert {item.ref for item in found} == set(made.values()) - {gone}
            assert it.app.store.next_id("MIL") == "MIL-000004"
            it.app.store.rollback()
    async with cloud(state=state) as it:
        it.clock.advance(timedelta(days=300))
        invoices = [f for f in await facts(it.erp) if f.kind is FinancialKind.INVOICE]
        assert sorted((f.occurred_on.month, f.status) for f in invoices) == [
            (1, "issued"),
            (1, "paid"),
            (2, "issued"),
            (2, "paid"),
        ]


async def test_a_process_killed_while_it_writes_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    state = tmp_path / "cloud.journal"
    kept: list[str] = []
    async with _process(state) as (process, url), httpx.AsyncClient(base_url=url) as raw:
        writing = asyncio.create_task(_write_until_it_dies(raw, kept))
        deadline = time.monotonic() + 20
        while len(kept) < 25 and time.monotonic() < deadline:
            await asyncio.wait([writing], timeout=0.005)
        process.kill()
        await asyncio.wait_for(writing, 10)
    async with _process(state) as (process, url):
        async with httpx.AsyncClient(base_url=url) as raw:
            page = (await raw.get("/v1/customers", headers=await _bearer(raw))).json()
        process.terminate()
        assert await process.wait() == 0
    found = [row["external_id"] for row in page["items"]]
    assert len(kept) >= 25
    assert found[: len(kept)] == kept
    assert len(found) <= len(kept) + 1  # the one whose answer was on its way


async def _write_until_it_dies(raw: httpx.AsyncClient, kept: list[str]) -> None:
    headers = await _bearer(raw)
    while len(kept) < 150:
        key = f"K{len(kept)}"
        try:
            answer = await raw.put(
                "/v1/customers", json={"items": [{"external_id": key, "name": "Any"}]}, headers=headers
            )
        except httpx.TransportError:
            return
        assert answer.status_code == 200
        kept.append(key)


async def _bearer(raw: httpx.AsyncClient) -> dict[str, str]:
    answer = await raw.post("/oauth/token", data=token_form())
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


@asynccontextmanager
async def _process(state: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    arguments = ["-m", "app.sandbox.cloud", "--state", str(state), "--client-secret", SECRET]
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        ready = await asyncio.wait_for(process.stdout.readline(), 30)
        yield process, orjson.loads(ready)["url"]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
