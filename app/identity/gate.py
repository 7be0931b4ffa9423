"""The gate in front of the dashboard: no session, no page, no file, no websocket.

Streamlit's own login cookie cannot be revoked, so the gate keeps sessions itself and tells Streamlit who is there by
`server.trustedUserHeaders`. That is safe only because `SecurityHeaders` removes those headers from every client first.
An open websocket is looked at again every `RECHECK_S`, so that a revoked session also loses the page it is looking at.
"""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.proto.BackMsg_pb2 import BackMsg

from app.identity.sessions import Person, Sessions, roles_header
from app.web.entry_pages import Pages

RECHECK_S = 1.0  # with what a session is remembered for, its end reaches every open page within two seconds
SIGNED_OUT = 4401  # websocket close code: 4000-4999 are free for applications; 401 is what it means
_MACHINERY = "/_stcore/"  # what an open page asks for by itself
_PUBLIC = "/app/static/"  # logo, favicon and font, which the sign-in page shows too


def cookie_name(*, secure: bool) -> str:
    """A browser keeps `__Host-` cookies only over TLS; loopback is plain http."""
    return "__Host-tieline" if secure else "tieline_session"


class SessionGate:
    """Lets a request through to `app` with the headers of its session, or refuses it."""

    def __init__(self, app: ASGIApp, sessions: Sessions, *, secure: bool, pages: Pages) -> None:
        self._app = app
        self._sessions = sessions
        self._pages = pages
        self._cookie = cookie_name(secure=secure)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and is_public(scope["path"]):
            await self._app(scope, receive, send)
            return
        secret = HTTPConnection(scope).cookies.get(self._cookie, "")
        person = await self._find(secret) if secret else None
        if scope["type"] == "websocket":
            if person is None or not is_same_origin(Headers(scope=scope)):
                # Closing before accepting makes the server answer the handshake with 403.
                await send({"type": "websocket.close", "code": SIGNED_OUT, "reason": "no session"})
                return
            receive = watched(receive, send, lambda: self._still_in(secret, person), lambda m: self._note(secret, m))
        elif person is None:
            await HTMLResponse(self._pages.no_session(_asked_for(scope)), status_code=401)(scope, receive, send)
            return
        elif not scope["path"].startswith(_MACHINERY):
            await self._see(secret)
        await self._app(_with_identity(scope, person), receive, send)

    async def _find(self, secret: str) -> Person | None:
        return self._sessions.remembered(secret) or await run_in_threadpool(self._sessions.find, secret)

    async def _still_in(self, secret: str, person: Person) -> bool:
        return await self._find(secret) == person

    async def _see(self, secret: str) -> None:
        if not self._sessions.is_seen(secret):
            await run_in_threadpool(self._sessions.see, secret)

    async def _note(self, secret: str, message: Message) -> None:
        if is_activity(message):
            await self._see(secret)


class SecurityHeaders:
    """Removes the trusted headers that a client sent, and adds the browser's protections to every answer."""

    def __init__(self, app: ASGIApp, *, secure: bool, script_hashes: tuple[str, ...]) -> None:
        self._app = app
        self._secure = secure
        self._script_hashes = script_hashes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        # "_" too: servers behind some proxies fold x_auth_email into x-auth-email.
        kept = [(k, v) for k, v in scope["headers"] if not k.lower().replace(b"_", b"-").startswith(b"x-auth-")]
        host = Headers(raw=kept).get("host", "")

        async def send_protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._protections(host):
                    headers.setdefault(name, value)
            await send(message)

        await self._app({**scope, "headers": kept}, receive, send_protected)

    def _protections(self, host: str) -> list[tuple[str, str]]:
        headers = [
            ("content-security-policy", content_security_policy(host, self._script_hashes)),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),  # the one-time token stands in a URL
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("permissions-policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
        ]
        return [*headers, ("strict-transport-security", "max-age=31536000")] if self._secure else headers


def content_security_policy(host: str, script_hashes: tuple[str, ...]) -> str:
    """What a page may load: this origin only. Streamlit needs inline styles and, for its tables, blob workers."""
    # Some browsers do not read 'self' as covering ws:, so the own host is named; a strange Host header adds nothing.
    plain = bool(host) and all(mark.isalnum() or mark in ".-:[]" for mark in host)
    sockets = f" ws://{host} wss://{host}" if plain else ""
    return "; ".join(
        (
            "default-src 'self'",
            " ".join(("script-src 'self' 'wasm-unsafe-eval'", *script_hashes)),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            f"connect-src 'self'{sockets}",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def is_public(path: str) -> bool:
    """Exactly one file name below the static folder, so that no encoded path climbs out of it."""
    return path.startswith(_PUBLIC) and "/" not in path[len(_PUBLIC) :] and ".." not in path


def is_same_origin(headers: Headers) -> bool:
    """Cookies ignore ports, and Streamlit accepts any origin on localhost: another local page must not connect."""
    return urlsplit(headers.get("origin", "")).netloc == headers.get("host")


def is_activity(message: Message) -> bool:
    """Whether a person did something; a page that refreshes itself does not keep its session from growing idle."""
    sent = message.get("bytes")
    if message["type"] != "websocket.receive" or not isinstance(sent, bytes):
        return False
    try:
        asked = BackMsg.FromString(sent)
    except DecodeError:
        return False
    return asked.WhichOneof("type") == "rerun_script" and not asked.rerun_script.is_auto_rerun


async def _nothing(message: Message) -> None:
    return None


def watched(
    receive: Receive,
    send: Send,
    still_in: Callable[[], Awaitable[bool]],
    note: Callable[[Message], Awaitable[None]] = _nothing,
) -> Receive:
    """A `receive` that reports a disconnect, and tells the browser why, once `still_in` no longer holds.

    `note` is told of each message that passes.
    """
    pending: asyncio.Task[Message] | None = None

    async def receive_while_in() -> Message:
        nonlocal pending
        while True:
            # One receive stays open across checks: cancelling it could lose a message.
            pending = pending or asyncio.ensure_future(receive())
            try:
                await asyncio.wait({pending}, timeout=RECHECK_S)
            except asyncio.CancelledError:
                pending.cancel()
                raise
            if not await still_in():
                if not pending.cancel():
                    pending.exception()
                await send({"type": "websocket.close", "code": SIGNED_OUT, "reason": "signed out"})
                return {"type": "websocket.disconnect", "code": SIGNED_OUT}
            if pending.done():
                message, pending = pending.result(), None
                await note(message)
                return message

    return receive_while_in


def _asked_for(scope: Scope) -> str:
    """The page to come back to after signing in."""
    query = scope.get("query_string", b"").decode("latin-1")
    return f"{scope['path']}?{query}" if query else str(scope["path"])


def _with_identity(scope: Scope, person: Person) -> Scope:
    added = [
        (b"x-auth-email", person.email.encode()),
        (b"x-auth-groups", roles_header(person.grants).encode()),
    ]
    return {**scope, "headers": [*scope["headers"], *added]}
