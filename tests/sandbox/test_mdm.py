"""The sandbox master-data system over HTTP, its memory, and the connector's answers to what goes wrong there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from app.sandbox.cloud.serve import serving
from app.sandbox.cloud.server import SandboxCloud
from app.sandbox.mdm.server import SandboxMdm, build
from sync_core.clock import VirtualClock
from sync_core.connectors import discovery
from sync_core.errors import InvalidEstate
from sync_core.estate.master import Mdm
from sync_core.master.records import MdmConnector, MdmError
from tests.sandbox.clm_world import START

TOKEN = "letmein"
HARBOUR: dict[str, Any] = {"code": "CUST-1", "name": "Harbour Mutual", "tax_id": "US-99-1", "country": "US",
                           "addresses": [{"lines": ["1 Quay Street", "Boston"], "country": "US"}]}  # fmt: skip


@asynccontextmanager
async def running(journal: Path | None = None, **options: str) -> AsyncIterator[tuple[httpx.AsyncClient, MdmConnector]]:
    app: SandboxMdm = build(VirtualClock(START), token=TOKEN, journal=journal)
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with serving(cast("SandboxCloud", app)) as url, httpx.AsyncClient(base_url=url, headers=headers) as client:
        settings = Mdm("master", "sandbox", url, options=options)
        connector = discovery.mdm("sandbox")(settings, secrets=[TOKEN], clock=VirtualClock(START))
        try:
            yield client, connector
        finally:
            await connector.aclose()
            app.close()


async def test_records_come_as_they_were_changed_and_by_pages() -> None:
    async with running(page_size="2") as (client, connector):
        for mdm_id, changed in (("M-1", {}), ("M-2", {"code": "CUST-2"}), ("M-1", {"status": "blocked"})):
            assert (await client.put(f"/api/customers/{mdm_id}", json={**HARBOUR, **changed})).status_code == 200
        await client.put("/api/legal-entities/E-1", json={"code": "US01", "name": "Test", "currency": "USD"})
        await client.post("/api/customers/M-2/merge", json={"into": "M-1"})
        first = await connector.changes(None)
        assert ([c.mdm_id for c in first.customers], first.more) == (["M-1", "M-2"], True)
        assert first.customers[0].addresses[0].lines == ("1 Quay Street", "Boston")
        second = await connector.changes(first.watermark)
        assert [(c.mdm_id, c.status) for c in second.customers] == [("M-1", "blocked")]
        assert [(e.code, e.currency) for e in second.entities] == [("US01", "USD")]
        last = await connector.changes(second.watermark)
        assert [(c.merged_into, c.status) for c in last.customers] == [("M-1", "closed")]
        assert not last.more
        assert (await connector.changes(last.watermark)).customers == []


async def test_what_was_put_survives_a_restart(tmp_path: Path) -> None:
    journal = tmp_path / "master.jsonl"
    async with running(journal) as (client, _):
        await client.put("/api/customers/M-1", json=HARBOUR)
    async with running(journal) as (client, connector):
        assert (await client.get("/api/customers/M-1")).json()["name"] == "Harbour Mutual"
        assert len((await connector.changes(None)).customers) == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "/api/customers/M-9", {"code": "", "name": "x"}, 422),
        ("PUT", "/api/customers/M-9", {"code": "C", "name": "x", "country": "usa"}, 422),
        ("PUT", "/api/planets/P-1", {"code": "C", "name": "x"}, 404),
        ("GET", "/api/customers/M-404", None, 404),
        ("POST", "/api/customers/M-1/merge", {"into": "M-1"}, 409),
        ("POST", "/api/customers/M-1/merge", {"into": "M-404"}, 404),
        ("GET", "/api/changes?after=99", None, 410),
        ("GET", "/api/changes?after=x", None, 422),
    ],
)
async def test_what_cannot_be_is_refused(method: str, path: str, body: object, status: int) -> None:
    async with running() as (client, _):
        await client.put("/api/customers/M-1", json=HARBOUR)
        answer = await client.request(method, path, json=body)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


async def test_nobody_reads_it_without_the_token() -> None:
    async with running() as (client, _):
        assert (await client.get("/api/changes", headers={"authorization": "Bearer no"})).status_code == 401
        assert (await client.get("/healthz", headers={"authorization": ""})).json()["status"] == "ok"


async def test_trouble_there_is_an_error_of_ours_and_the_next_poll_goes_on() -> None:
    async with running() as (client, connector):
        await client.put("/api/customers/M-1", json=HARBOUR)
        await client.put("/sandbox/faults", json={"times": 1, "status": 503})
        with pytest.raises(MdmError, match="answered 503"):
            await connector.changes(None)
        await client.put("/sandbox/faults", json={"torn": 1})
        with pytest.raises(MdmError, match="not what it should be"):
            await connector.changes(None)
        assert len((await connector.changes(None)).customers) == 1


async def test_a_system_that_is_not_there_is_an_error_of_ours() -> None:
    gone = discovery.mdm("sandbox")(
        Mdm("master", "sandbox", "http://127.0.0.1:9"), secrets=[TOKEN], clock=VirtualClock(START)
    )
    with pytest.raises(MdmError, match="no answer"):
        await gone.changes(None)
    await gone.aclose()


@pytest.mark.parametrize(
    ("mdm", "secrets", "words"),
    [
        (Mdm("master", "sandbox"), [TOKEN], "needs a url"),
        (Mdm("master", "sandbox", "http://x"), [], "and a token"),
        (Mdm("master", "sandbox", "http://x", options={"page_size": "0"}), [TOKEN], "page_size"),
    ],
)
def test_an_estate_that_lacks_something_is_told_what(mdm: Mdm, secrets: list[str], words: str) -> None:
    with pytest.raises(InvalidEstate, match=words):
        discovery.mdm("sandbox")(mdm, secrets=secrets, clock=VirtualClock(START))
    with pytest.raises(InvalidEstate, match="use one of: sandbox"):
        discovery.mdm("reltio")
