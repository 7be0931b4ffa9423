"""The HTTP layer against a server that misbehaves on purpose."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime

import httpx
import pytest

from sync_core.clock import VirtualClock
from sync_core.connectors.answers import Json, Response, exact_json
from sync_core.connectors.http import ErpHttp
from sync_core.errors import (
    ErpAmbiguous,
    ErpAnswerIncomplete,
    ErpCredentials,
    ErpError,
    ErpRateLimited,
    ErpRejected,
    ErpUnavailable,
    LeaseLost,
)
from sync_core.ports import CallContext
from tests.connectors.wire import Script, Wire, answer, drip, half, reset, silence, wire

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SHORT_S = 0.25


class Slots:
    """A gate of one slot that can be held by the test."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        async with self.lock:
            yield


@dataclass(slots=True)
class Client:
    http: ErpHttp
    wire: Wire
    slots: Slots
    ctx: CallContext = field(
        default_factory=lambda: CallContext("corr-1", time.monotonic() + 60, "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01")
    )

    async def read(self) -> Json:
        return (await self.http.call("project.read", "GET", "/v1/p", ctx=self.ctx, write=False)).body

    async def write(self, method: str = "POST") -> Json:
        return (await self.http.call("project.create", method, "/v1/p", ctx=self.ctx, write=True, json={"a": 1})).body


@asynccontextmanager
async def client(*scripts: Script, timeout_s: float = 5.0, unwritten: bool = False) -> AsyncIterator[Client]:
    slots = Slots()
    async with wire(*scripts) as served:
        http = ErpHttp(
            "erp",
            served.url,
            gate=slots,
            clock=VirtualClock(NOW),
            timeout_s=timeout_s,
            retry_after_means_unwritten=unwritten,
        )
        try:
            yield Client(http, served, slots)
        finally:
            await http.aclose()


async def test_a_call_carries_trace_and_correlation_and_is_journalled() -> None:
    async with client(answer(201, b'{"id":"7"}')) as erp:
        assert await erp.write() == {"id": "7"}
        head = erp.wire.seen[0].lower()
        assert b"x-correlation-id: corr-1" in head
        assert b"traceparent: 00-" + b"ab" * 16 in head
        assert head.endswith(b'{"a":1}')
        (call,) = erp.ctx.calls
        assert (call.system, call.operation, call.write) == ("erp", "project.create", True)
        assert (call.started_at, call.outcome, call.status) == (NOW, "ok", 201)
        assert 0 < call.duration_s < 5


@pytest.mark.parametrize("write", [False, True])
async def test_a_refused_connection_wrote_nothing(write: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    http = ErpHttp("erp", f"http://127.0.0.1:{port}", gate=Slots(), clock=VirtualClock(NOW), timeout_s=5)
    ctx = CallContext("corr", time.monotonic() + 60)
    with pytest.raises(ErpUnavailable):
        await http.call("project.create", "POST", "/", ctx=ctx, write=write, json={})
    assert (ctx.calls[0].outcome, ctx.calls[0].status) == ("erp.unavailable", None)
    await http.aclose()


async def test_a_connection_that_is_not_made_in_time_wrote_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        http = ErpHttp("erp", url, gate=Slots(), clock=VirtualClock(NOW), timeout_s=2 * SHORT_S)
        with pytest.raises(ErpUnavailable):
            await http.call("x", "POST", "/", ctx=CallContext("c", time.monotonic() + 60), write=True, json={})
        await http.aclose()
        for one in waiting:
            one.close()


async def test_a_host_without_address_wrote_nothing() -> None:
    http = ErpHttp("erp", "http://erp.invalid", gate=Slots(), clock=VirtualClock(NOW), timeout_s=5)
    with pytest.raises(ErpUnavailable):
        await http.call("x", "POST", "/", ctx=CallContext("c", time.monotonic() + 60), write=True, json={})
    await http.aclose()


@pytest.mark.parametrize("script", [silence, reset, half, drip], ids=lambda script: script.__name__)
async def test_a_lost_answer_is_ambiguous_for_a_write_only(script: Script) -> None:
    async with client(script, timeout_s=SHORT_S) as erp:
        begun = time.monotonic()
        with pytest.raises(ErpAmbiguous):
            await erp.write()
        with pytest.raises(ErpUnavailable):
            await erp.read()
        assert time.monotonic() - begun < 20 * SHORT_S
        assert [call.outcome for call in erp.ctx.calls] == ["erp.ambiguous", "erp.unavailable"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_a_write_on_a_connection_that_drops_is_never_sent_twice(method: str) -> None:
    async with client(answer(200), reset, answer(200)) as erp:
        await erp.read()
        with pytest.raises(ErpAmbiguous):
            await erp.write(method)
        assert len(erp.wire.seen) == 2


@pytest.mark.parametrize(
    ("status", "on_write", "on_read"),
    [
        (302, ErpUnavailable, ErpUnavailable),
        (400, ErpRejected, ErpRejected),
        (401, ErpCredentials, ErpCredentials),
        (403, ErpCredentials, ErpCredentials),
        (404, ErpRejected, ErpRejected),
        (408, ErpUnavailable, ErpUnavailable),
        (409, ErpRejected, ErpRejected),
        (422, ErpRejected, ErpRejected),
        (429, ErpRateLimited, ErpRateLimited),
        (500, ErpAmbiguous, ErpUnavailable),
        (502, ErpAmbiguous, ErpUnavailable),
        (503, ErpAmbiguous, ErpUnavailable),
        (504, ErpAmbiguous, ErpUnavailable),
    ],
)
async def test_each_status_is_one_error(status: int, on_write: type[ErpError], on_read: type[ErpError]) -> None:
    async with client(answer(status)) as erp:
        with pytest.raises(ErpError) as wrong:
            await erp.write()
        assert isinstance(wrong.value, on_write)
        with pytest.raises(ErpError) as wrong:
            await erp.read()
        assert isinstance(wrong.value, on_read)
        assert [call.outcome for call in erp.ctx.calls] == [on_write.code, on_read.code]
        assert [call.status for call in erp.ctx.calls] == [status, status]


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("retry-after: 17", 17),
        (f"retry-after: {format_datetime(NOW + timedelta(seconds=90), usegmt=True)}", 90),
        (f"retry-after: {format_datetime(NOW - timedelta(seconds=90), usegmt=True)}", 0),
        ("retry-after: soon", 5),
        ("x-none: 1", 5),
    ],
)
async def test_the_wait_that_a_429_asks_for_is_honoured(header: str, wait_s: float) -> None:
    async with client(answer(429, b"{}", header)) as erp:
        with pytest.raises(ErpRateLimited) as limited:
            await erp.write()
        assert limited.value.retry_after_s == wait_s


async def test_a_503_with_retry_after_wrote_nothing_if_the_vendor_says_so() -> None:
    async with client(answer(503, b"{}", "retry-after: 9"), answer(503), unwritten=True) as erp:
        with pytest.raises(ErpRateLimited):
            await erp.write()
        with pytest.raises(ErpAmbiguous):
            await erp.write()


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (
            b'{"title":"Bad","detail":"Period  2026-10\\nis closed."}',
            "application/problem+json",
            "Period 2026-10 is closed.",
        ),
        (b'{"message":"no such customer"}', "application/json", "no such customer"),
        (b'{"error":{"code":1,"message":"nope"}}', "application/json", "nope"),
        (b"closed", "text/plain", "closed"),
        (b"<html>stack trace</html>", "text/html", "it gave no reason (HTTP 422)"),
        (b"[1]", "application/json", "it gave no reason (HTTP 422)"),
    ],
)
async def test_a_refusal_speaks_in_the_erps_own_words(body: bytes, kind: str, words: str) -> None:
    async with client(answer(422, body, kind=kind)) as erp:
        with pytest.raises(ErpRejected) as refused:
            await erp.write()
        assert refused.value.words == words


@pytest.mark.parametrize("body", [b"", b"<html>login</html>", b'{"id": '])
async def test_a_success_that_is_no_json_is_not_believed(body: bytes) -> None:
    async with client(answer(200, body)) as erp:
        with pytest.raises(ErpAmbiguous):
            await erp.write()
        with pytest.raises(ErpAnswerIncomplete):
            await erp.read()


async def test_an_answer_without_content_is_a_success() -> None:
    async with client(answer(204, b"")) as erp:
        assert await erp.write("DELETE") is None


async def test_waiting_for_a_slot_past_the_lease_sends_nothing() -> None:
    async with client(answer(200)) as erp:
        erp.ctx.send_before = time.monotonic() + 0.05
        async with erp.slots.lock:
            waiting = asyncio.create_task(erp.write())
            await asyncio.wait([waiting], timeout=0.1)
        with pytest.raises(LeaseLost):
            await waiting
        assert (erp.wire.seen, erp.ctx.calls) == ([], [])


async def test_a_cancelled_call_gives_its_slot_back_and_is_journalled() -> None:
    async with client(silence) as erp:
        calling = asyncio.create_task(erp.write())
        while not erp.wire.seen:
            await asyncio.wait([calling], timeout=0.01)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        assert not erp.slots.lock.locked()
        assert [call.outcome for call in erp.ctx.calls] == ["cancelled"]


async def test_a_connector_may_judge_an_error_that_hides_in_a_200() -> None:
    def judge(response: Response, _write: bool) -> ErpError | None:
        hidden = isinstance(response.body, dict) and "error" in response.body
        return ErpRejected("erp", "said no") if hidden else None

    async with wire(answer(200, b'{"error":1}'), answer(200, b'{"sum":12345678901234567.10}')) as served:
        http = ErpHttp(
            "erp", served.url, gate=Slots(), clock=VirtualClock(NOW), timeout_s=5, judge=judge, parse=exact_json
        )
        ctx = CallContext("corr", time.monotonic() + 60)
        with pytest.raises(ErpRejected):
            await http.call("x", "POST", "/", ctx=ctx, write=True, json={})
        exact = await http.call("x", "GET", "/", ctx=ctx, write=False)
        assert exact.body == {"sum": Decimal("12345678901234567.10")}
        assert [call.outcome for call in ctx.calls] == ["erp.rejected", "ok"]
        await http.aclose()


async def test_another_transport_can_be_put_in() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("down", request=request)

    http = ErpHttp(
        "erp", "http://erp", gate=Slots(), clock=VirtualClock(NOW), timeout_s=5, transport=httpx.MockTransport(handle)
    )
    with pytest.raises(ErpUnavailable):
        await http.call("x", "POST", "/", ctx=CallContext("c", time.monotonic() + 60), write=True, json={})
    await http.aclose()
