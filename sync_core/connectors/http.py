"""The one HTTP layer under all ERP connectors: lane slot, lease check, time-out, journal entry, error mapping.

The rule that matters: whatever goes wrong once a write may have left this machine is `ErpAmbiguous`, so that the
engine looks the object up before it sends again; only what surely never left is `ErpUnavailable`.

Traps, found by trying them:
- httpx-aiohttp reports a dropped connection as httpx.ConnectTimeout, which would read as "never sent". So the
  aiohttp error behind it decides.
- aiohttp repeats a PUT or DELETE by itself on a dropped keep-alive connection: unseen by the journal and by the
  lease. It is switched off.
- Read time-outs begin anew with every byte, so a dripping answer would never end. One deadline spans the call.

The transport is driven directly: httpx.AsyncClient around it costs 0.1-0.15 ms of CPU more per call (auth flow,
redirects, cookies), none of which a connector uses.
"""

import asyncio
import time
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Protocol
from urllib.parse import urlencode

import aiohttp
import httpx
import orjson
from httpx_aiohttp import AiohttpTransport
from opentelemetry import trace

from sync_core.clock import Clock
from sync_core.connectors.answers import Json, Judge, Response, TokenRefused, Verdicts, problem_words
from sync_core.connectors.tracing import current, parent_of, traceparent_of
from sync_core.errors import ErpAmbiguous, ErpError, ErpUnavailable, LeaseLost, TielineError
from sync_core.ports import ApiCall, CallContext, Gate
from sync_core.telemetry import meters

OK = frozenset({200, 201, 202, 204})
_MOST_CONNECT_S = 10.0
# Servers commonly close idle connections after 5 s; a write on one that is just being closed is ambiguous.
_KEEP_ALIVE_S = 4.0
_NEVER_SENT_AIOHTTP = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
_NEVER_SENT_HTTPX = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_TRACER = trace.get_tracer("tieline.erp")

Params = Mapping[str, str | Sequence[str]]


class Credentials(Protocol):
    """Where the Authorization header comes from; asked again once after a 401."""

    async def header(self, ctx: CallContext) -> str: ...

    def refused(self, header: str) -> None:
        """The ERP answered 401 to this header: fetch another one next time."""
        ...


class ErpHttp:
    """Calls one ERP. Safe to share between tasks of one event loop."""

    def __init__(
        self,
        system: str,
        base_url: str,
        *,
        gate: Gate,
        clock: Clock,
        timeout_s: float,
        transport: httpx.AsyncBaseTransport | None = None,
        headers: Mapping[str, str] | None = None,
        words: Callable[[Json], str | None] = problem_words,
        judge: Judge | None = None,
        parse: Callable[[bytes], Json] = orjson.loads,
        retry_after_means_unwritten: bool = False,
    ) -> None:
        """`words` finds the ERP's own words in the body of a refusal. `judge` sees every answer first and returns the
        error it really is, for ERPs that put errors into a 200 or throttle with a 400. `parse` must keep decimals
        exact: use `exact_json` for an ERP that sends amounts as JSON numbers. `retry_after_means_unwritten`: the
        vendor guarantees that a 503 with Retry-After stored nothing.
        """
        self.system = system
        self.credentials: Credentials | None = None
        self._base_url = base_url.rstrip("/")
        self._gate, self._clock, self._timeout_s = gate, clock, timeout_s
        self._transport = transport or _transport()
        connect_s = min(_MOST_CONNECT_S, timeout_s / 2)
        self._extensions = {"timeout": {"connect": connect_s, "pool": connect_s, "read": None, "write": None}}
        self._headers = {
            "accept": "application/json",
            "accept-encoding": "gzip, deflate",
            "user-agent": "Tieline",
            **(headers or {}),
        }
        self._judge = judge
        self._verdicts = Verdicts(system, clock, words, parse, retry_after_means_unwritten)

    async def call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        ctx: CallContext,
        write: bool,
        json: Json = None,
        data: Mapping[str, str] | None = None,
        content: bytes | None = None,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        ok: Container[int] = OK,
        authenticate: bool = True,
    ) -> Response:
        """One call with everything around it. Raises the Erp* error of any answer whose status is not in `ok`.

        `path` is percent-encoded by the caller and follows the base URL.
        """
        request = self._request(method, path, json, data, content, params, headers, ctx)
        if self.credentials is None or not authenticate:
            return await self._send(operation, request, ctx, write, ok)
        header = request.headers["authorization"] = await self.credentials.header(ctx)
        try:
            return await self._send(operation, request, ctx, write, ok)
        except TokenRefused:
            # 401 came before any work was done, so one more attempt with a new token writes nothing twice.
            self.credentials.refused(header)
        request.headers["authorization"] = await self.credentials.header(ctx)
        return await self._send(operation, request, ctx, write, ok)

    async def aclose(self) -> None:
        await self._transport.aclose()

    def _request(
        self,
        method: str,
        path: str,
        json: Json,
        data: Mapping[str, str] | None,
        content: bytes | None,
        params: Params | None,
        headers: Mapping[str, str] | None,
        ctx: CallContext,
    ) -> httpx.Request:
        sent = {**self._headers, "x-correlation-id": ctx.correlation_id}
        if json is not None:
            content, sent["content-type"] = orjson.dumps(json), "application/json"
        elif data is not None:
            content, sent["content-type"] = urlencode(data).encode(), "application/x-www-form-urlencoded"
        if headers:
            sent.update(headers)
        query = f"?{urlencode(params, doseq=True)}" if params else ""
        url = f"{self._base_url}{path}{query}"
        return httpx.Request(method, url, headers=sent, content=content, extensions=self._extensions)

    async def _send(
        self, operation: str, request: httpx.Request, ctx: CallContext, write: bool, ok: Container[int]
    ) -> Response:
        async with self._gate.slot():
            # As late as can be: waiting for the slot may have taken longer than the lease has left.
            if time.monotonic() >= ctx.send_before:
                raise LeaseLost(
                    f"{self.system}: {operation} was not sent, the lease is too near its end; claim it again"
                )
            parent = current() or ctx.traceparent
            span = _TRACER.start_span(operation, context=parent_of(parent), kind=trace.SpanKind.CLIENT)
            traceparent = traceparent_of(span) or parent
            if traceparent:
                request.headers["traceparent"] = traceparent
            started_at, start = self._clock.now(), time.perf_counter()
            outcome, status = TielineError.code, None
            try:
                response = await self._exchange(operation, request, write)
                status = response.status_code
                answer = self._judged(response, write, ok)
                outcome = "ok"
                return answer
            except ErpError as error:
                outcome = error.code
                raise
            except asyncio.CancelledError:
                outcome = "cancelled"
                raise
            finally:
                duration_s = time.perf_counter() - start
                ctx.calls.append(ApiCall(self.system, operation, write, started_at, duration_s, outcome, status))
                meters.took("erp", self.system, operation, outcome, duration_s)
                if span.is_recording():
                    span.set_attribute("tieline.outcome", outcome)
                span.end()

    async def _exchange(self, operation: str, request: httpx.Request, write: bool) -> httpx.Response:
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._transport.handle_async_request(request)
                try:
                    await response.aread()
                except BaseException:
                    await response.aclose()
                    raise
                return response
        except (httpx.HTTPError, aiohttp.ClientError, OSError) as error:
            words = f"{operation} got no answer within {self._timeout_s:g} s or lost the connection ({_name(error)})"
            if never_sent(error):
                words = f"cannot be reached for {operation} ({_name(error)}); check its url in the estate file"
            elif write:
                raise ErpAmbiguous(self.system, words) from error
            raise ErpUnavailable(self.system, words) from error

    def _judged(self, response: httpx.Response, write: bool, ok: Container[int]) -> Response:
        accepted, status = response.status_code in ok, response.status_code
        read = self._verdicts.answer(response, write) if accepted and status < 400 else self._verdicts.refusal(response)
        wrong = self._judge(read, write) if self._judge else None
        if wrong is None and not accepted:
            wrong = self._verdicts.error(read, write)
        if wrong is not None:
            raise wrong
        return read


def _transport() -> AiohttpTransport:
    return AiohttpTransport(client=_session)


def _session() -> aiohttp.ClientSession:
    # limit=0: the lane's slots are the limit, over all workers; a second one here would only hide waiting.
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_S)
    session = aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, trust_env=False
    )
    session._retry_connection = False  # no public switch exists; tests/connectors/test_http.py guards it
    return session


def never_sent(error: Exception) -> bool:
    """Whether the request surely never left this machine (see the traps above)."""
    cause = error.__cause__
    if isinstance(cause, aiohttp.ClientError):
        return isinstance(cause, _NEVER_SENT_AIOHTTP)
    return isinstance(error, (*_NEVER_SENT_HTTPX, *_NEVER_SENT_AIOHTTP))


def _name(error: Exception) -> str:
    return type(error.__cause__ if isinstance(error.__cause__, aiohttp.ClientError) else error).__name__
