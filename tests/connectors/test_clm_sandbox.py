"""The connector of the sandbox CLM: polling by watermark, bulk write-back, and errors as ClmError."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import orjson
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.sandbox.clm.app import SandboxClm
from app.sandbox.clm.changes import Change, ChangeKind
from app.sandbox.clm.server import RELEASE, build
from sync_core.clock import SystemClock, VirtualClock
from sync_core.connectors.clm import sandbox as sandbox_clm
from sync_core.connectors.clm.sandbox import SandboxClmConnector, connect
from sync_core.errors import ClmError, InvalidEstate
from sync_core.estate.estate import Clm
from sync_core.keys import ExternalId
from sync_core.ports import ClmConnector, ClmUnanswered, TellsClmVersion, WriteBack
from tests.connectors.wire import Script, drip, half, reset, silence, wire
from tests.sandbox.clm_process import TOKEN, running_clm

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
CLM = Clm("clm", "urn:tieline:clm:sandbox", "sandbox", url="http://clm.example", options={"page_size": "4"})
TERMS = {
    "title": "Controls review",
    "customer": {"code": "CUST-0002", "name": "Dunmarrow Steel K.K."},
    "legal_entity": "MA-JP",
    "service_line": "Risk",
    "geography": "Asia Pacific",
    "currency": "JPY",
    "value": 9000000,
    "starts_on": "2026-03-09",
    "ends_on": None,
    "billing": {"kind": "milestones", "payment_terms": "NET30"},
}


def written(contract_id: str) -> WriteBack:
    return WriteBack(ExternalId(contract_id), "active", "PRJ-1", "cloud", NOW)


@pytest.fixture
def sandbox() -> SandboxClm:
    return build(VirtualClock(NOW), seed=1, token=TOKEN)


@pytest.fixture
async def connector(sandbox: SandboxClm) -> AsyncIterator[SandboxClmConnector]:
    made = connect(CLM, secrets=(TOKEN,), clock=VirtualClock(NOW), transport=httpx.ASGITransport(sandbox))
    yield made
    await made.aclose()


def draft(sandbox: SandboxClm, contract_id: str) -> None:
    sandbox.perform(Change(contract_id, ChangeKind.DRAFTED, orjson.loads(orjson.dumps({"terms": TERMS}))))


async def test_polling_reads_every_event_once_oldest_first_and_goes_on_from_the_watermark(
    sandbox: SandboxClm, connector: ClmConnector
) -> None:
    for n in range(10):
        draft(sandbox, f"C-{n}")
    got: list[bytes] = []
    watermark, more = None, True
    while more:
        page = await connector.poll(watermark)
        got += page.events
        watermark, more = page.watermark, page.more
    assert got == sandbox.store.feed
    assert (await connector.poll(watermark)).events == ()
    draft(sandbox, "C-10")
    assert [orjson.loads(e)["subject"] for e in (await connector.poll(watermark)).events] == ["C-10"]


async def test_a_write_back_of_any_size_reaches_each_contract(sandbox: SandboxClm, connector: ClmConnector) -> None:
    for n in range(450):
        draft(sandbox, f"PR-{n}:1")
    await connector.write_back([written(f"PR-{n}:1") for n in range(450)])
    await connector.write_back([replace(written("PR-449:1"), status="failed", project_ref=None, provisioned_at=None)])
    first, last = (sandbox.store.integration_of(f"PR-{n}:1") for n in (0, 449))
    assert first == {"status": "active", "project_ref": "PRJ-1", "erp": "cloud", "provisioned_at": NOW.isoformat()}
    assert last is not None
    assert last["status"] == "failed"
    await connector.write_back([])


async def test_contracts_the_clm_does_not_know_are_named_and_the_others_written(
    sandbox: SandboxClm, connector: ClmConnector
) -> None:
    draft(sandbox, "C-1")
    with pytest.raises(ClmError, match="does not know C-404"):
        await connector.write_back([written("C-404"), written("C-1")])
    assert sandbox.store.integration_of("C-1") is not None


async def test_a_wrong_token_is_a_clm_error_that_says_so(sandbox: SandboxClm) -> None:
    made = connect(CLM, secrets=("guess",), clock=VirtualClock(NOW), transport=httpx.ASGITransport(sandbox))
    with pytest.raises(ClmError, match="refused our token"):
        await made.poll(None)
    await made.aclose()


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [(503, b"down", "answered 503"), (200, b"<html>", "event feed"), (200, b'{"events":[1]}', "event feed")],
)
async def test_an_answer_that_is_no_feed_is_a_clm_error(status: int, body: bytes, words: str) -> None:
    async def answer(_request: Request) -> Response:
        return Response(body, status)

    broken = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
    made = connect(CLM, secrets=(TOKEN,), clock=VirtualClock(NOW), transport=httpx.ASGITransport(broken))
    with pytest.raises(ClmError, match=words):
        await made.poll("3")
    with pytest.raises(ClmError):
        await made.write_back([written("C-1")])
    await made.aclose()


async def test_a_feed_is_passed_on_digit_by_digit_and_no_entry_of_it_stops_the_others() -> None:
    entries = [b'{"value":1234567890123456789.12,"many":123456789012345678901234567890}', b"7", b'{"half":"\\ud800"}']

    async def answer(_request: Request) -> Response:
        return Response(b'{"events":[%s],"watermark":"3","more":false}' % b",".join(entries))

    feed = Starlette(routes=[Route("/api/events", answer)])
    made = connect(CLM, secrets=(TOKEN,), clock=VirtualClock(NOW), transport=httpx.ASGITransport(feed))
    page = await made.poll(None)
    assert page.events[:2] == tuple(entries[:2])
    assert orjson.loads(page.events[2].replace(b"\\", b"/")) == {"half": "/ud800"}
    assert page.watermark == "3"
    await made.aclose()


@pytest.mark.parametrize("script", [silence, reset, half, drip], ids=lambda script: script.__name__)
async def test_without_an_answer_nobody_knows_what_became_of_a_write_back(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox_clm, "_TIMEOUT_S", 0.25)
    async with wire(script) as server, asyncio.timeout(10):
        made = connect(replace(CLM, url=server.url), secrets=(TOKEN,), clock=SystemClock())
        with pytest.raises(ClmError, match="no answer"):
            await made.poll(None)
        with pytest.raises(ClmUnanswered):
            await made.write_back([written("C-1")])
        await made.aclose()


async def test_a_connection_that_was_refused_carried_nothing(tmp_path: Path) -> None:
    with running_clm(tmp_path / "clm.jsonl") as process:
        made = connect(replace(CLM, url=process.url), secrets=(TOKEN,), clock=SystemClock())
    with pytest.raises(ClmError) as refused:
        await made.write_back([written("C-1")])
    assert not isinstance(refused.value, ClmUnanswered)
    await made.aclose()


def test_a_clm_without_url_or_token_is_refused_before_any_call() -> None:
    with pytest.raises(InvalidEstate, match="needs a url and a token"):
        connect(CLM, secrets=(), clock=VirtualClock(NOW))
    with pytest.raises(InvalidEstate, match="page_size"):
        connect(replace(CLM, options={"page_size": "many"}), secrets=(TOKEN,), clock=VirtualClock(NOW))


async def test_over_a_real_socket_it_reads_writes_and_notices_that_the_clm_is_gone(tmp_path: Path) -> None:
    with running_clm(tmp_path / "clm.jsonl") as process:
        made = connect(replace(CLM, url=process.url), secrets=(TOKEN,), clock=SystemClock())
        async with httpx.AsyncClient(base_url=process.url, headers={"authorization": f"Bearer {TOKEN}"}) as user:
            answer = await user.post("/api/contracts", json={"contract_id": "C-1", "terms": TERMS})
        assert answer.status_code == 201
        page = await made.poll(None)
        assert [orjson.loads(e)["subject"] for e in page.events] == ["C-1"]
        await made.write_back([written("C-1")])
    with pytest.raises(ClmError, match="no answer"):
        await made.poll(page.watermark)
    await made.aclose()


async def test_it_says_which_release_it_runs(connector: SandboxClmConnector) -> None:
    assert isinstance(connector, TellsClmVersion)
    assert await connector.version() == RELEASE
