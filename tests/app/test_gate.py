"""The gate passes nobody without a session, and nobody's word on who they are."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import sqlalchemy as sa
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.proto.BackMsg_pb2 import BackMsg

from app.identity.gate import (
    SIGNED_OUT,
    SecurityHeaders,
    SessionGate,
    content_security_policy,
    cookie_name,
    is_activity,
    is_public,
    is_same_origin,
    watched,
)
from app.identity.sessions import Person, Rules, Sessions, start_session
from app.web.entry_pages import Pages
from sync_core.clock import SystemClock

CFO = Person("cfo@example.com", ("executive", "approver@GB01"))
LINKS, PROVIDER = Pages(signs_in=False), Pages(signs_in=True)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the headers that arrived."""
    await JSONResponse(Headers(scope=scope).items())(scope, receive, send)


@pytest.fixture
def sessions(database: sa.Engine) -> Sessions:
    return Sessions(database, SystemClock())


@pytest.fixture
def secret(database: sa.Engine, sessions: Sessions) -> str:
    with database.begin() as conn:
        return start_session(conn, CFO, now=SystemClock().now(), rules=Rules(), how="test")


def gated(sessions: Sessions, *, secure: bool = False, pages: Pages = LINKS) -> ASGIApp:
    gate = SessionGate(echo, sessions, secure=secure, pages=pages)
    return SecurityHeaders(gate, secure=secure, script_hashes=("'sha256-x'",))


@asynccontextmanager
async def client(app: ASGIApp, secret: str | None = None, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    cookies = {cookie_name(secure=False): secret} if secret else {}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://localhost", cookies=cookies, headers=headers
    ) as http:
        yield http


@pytest.mark.parametrize("path", ["/", "/replay", "/_stcore/health", "/static/js/index.js", "/_stcore/metrics"])
async def test_without_a_session_every_dashboard_path_is_refused(sessions: Sessions, path: str) -> None:
    async with client(gated(sessions)) as http:
        answer = await http.get(path)
    assert answer.status_code == 401
    assert "tieline link" in answer.text


async def test_with_a_provider_the_sign_in_page_leads_there_and_back(sessions: Sessions) -> None:
    async with client(gated(sessions, pages=PROVIDER)) as http:
        answer = await http.get("/replay?cause=tax&x=%22%3E%3Cscript%3E")
    assert 'href="/login?next=%2Freplay%3Fcause%3Dtax%26x%3D%2522%253E%253Cscript%253E"' in answer.text
    assert "tieline link" not in answer.text


async def test_a_made_up_cookie_is_no_session(sessions: Sessions) -> None:
    async with client(gated(sessions), "made-up") as http:
        assert (await http.get("/")).status_code == 401


async def test_who_the_client_claims_to_be_is_replaced(sessions: Sessions, secret: str) -> None:
    claims = {"x-auth-email": "root@example.com", "X-Auth-Groups": "administrator", "x_auth_email": "root@example.com"}
    async with client(gated(sessions), secret, **claims) as http:
        arrived = dict((await http.get("/")).json())
    assert {name: arrived[name] for name in arrived if "auth" in name} == {
        "x-auth-email": "cfo@example.com",
        "x-auth-groups": "executive,approver@GB01",
    }


async def test_claims_are_removed_where_no_gate_stands_too(sessions: Sessions) -> None:
    async with client(SecurityHeaders(echo, secure=False, script_hashes=()), **{"x-auth-email": "root"}) as http:
        assert "x-auth-email" not in dict((await http.get("/v1/contracts")).json())


@pytest.mark.parametrize(
    ("origin", "secret_given", "passes"),
    [
        ("http://localhost", True, True),
        ("http://localhost", False, False),
        ("http://localhost:3000", True, False),
        ("http://evil.example", True, False),
        (None, True, False),
    ],
)
async def test_a_websocket_needs_a_session_and_our_own_page(
    sessions: Sessions, secret: str, origin: str | None, secret_given: bool, passes: bool
) -> None:
    headers = [(b"host", b"localhost")]
    if origin:
        headers.append((b"origin", origin.encode()))
    if secret_given:
        headers.append((b"cookie", f"{cookie_name(secure=False)}={secret}".encode()))
    seen: list[Scope] = []
    sent: list[Message] = []

    async def record(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/_stcore/stream", "headers": headers}
    await SessionGate(record, sessions, secure=False, pages=LINKS)(scope, receive, send)
    assert bool(seen) is passes
    assert [message["code"] for message in sent] == ([] if passes else [SIGNED_OUT])
    if passes:
        assert Headers(scope=seen[0])["x-auth-email"] == CFO.email


async def test_an_open_websocket_ends_when_its_session_does() -> None:
    arriving: asyncio.Queue[Message] = asyncio.Queue()
    sent: list[Message] = []
    is_in = True

    async def send(message: Message) -> None:
        sent.append(message)

    async def still_in() -> bool:
        return is_in

    receive = watched(arriving.get, send, still_in)
    arriving.put_nowait({"type": "websocket.receive", "text": "one"})
    assert (await receive())["text"] == "one"
    is_in = False
    arriving.put_nowait({"type": "websocket.receive", "text": "two"})
    assert await receive() == {"type": "websocket.disconnect", "code": SIGNED_OUT}
    assert sent[0]["code"] == SIGNED_OUT


def test_only_what_a_person_does_keeps_a_session_from_growing_idle() -> None:
    def sent(message: BackMsg) -> Message:
        return {"type": "websocket.receive", "bytes": message.SerializeToString()}

    clicked, refreshed, other = BackMsg(), BackMsg(), BackMsg()
    clicked.rerun_script.query_string = "a=1"
    refreshed.rerun_script.is_auto_rerun = True
    other.stop_script = True
    assert is_activity(sent(clicked))
    assert not is_activity(sent(refreshed))
    assert not is_activity(sent(other))
    assert not is_activity({"type": "websocket.receive", "bytes": b"\xff\xff"})
    assert not is_activity({"type": "websocket.disconnect"})


async def test_every_answer_carries_the_protections(sessions: Sessions) -> None:
    async with client(gated(sessions)) as http:
        headers = (await http.get("/")).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "strict-transport-security" not in headers
    async with client(gated(sessions, secure=True)) as http:
        assert "strict-transport-security" in (await http.get("/")).headers


def test_the_policy_runs_no_foreign_or_inline_script() -> None:
    policy = content_security_policy("localhost:8501", ("'sha256-abc'",))
    assert "script-src 'self' 'wasm-unsafe-eval' 'sha256-abc';" in policy
    assert "connect-src 'self' ws://localhost:8501 wss://localhost:8501;" in policy
    assert "connect-src 'self';" in content_security_policy("evil; script-src *", ())


@pytest.mark.parametrize(
    ("path", "public"),
    [
        ("/app/static/favicon.svg", True),
        ("/app/static/", True),
        ("/app/static/../dashboard.py", False),
        ("/app/static/a/b.svg", False),
        ("/app/staticx", False),
        ("/", False),
    ],
)
def test_only_single_files_of_the_static_folder_are_public(path: str, public: bool) -> None:
    assert is_public(path) is public


def test_another_port_is_another_origin() -> None:
    assert is_same_origin(Headers({"origin": "https://tieline.example", "host": "tieline.example"}))
    assert not is_same_origin(Headers({"origin": "null", "host": "localhost"}))


def test_the_cookie_is_host_bound_behind_tls() -> None:
    assert cookie_name(secure=True).startswith("__Host-")
    assert not cookie_name(secure=False).startswith("__Host-")
