"""A lost database is one sentence to a browser and one line in the log, never a traceback."""

import logging
from collections.abc import AsyncIterator

import httpx
import pytest
import sqlalchemy as sa
from starlette.types import Message, Receive, Scope, Send

from app.identity.gate import SessionGate, cookie_name
from app.identity.sessions import Sessions
from app.web.entry_pages import Pages
from app.web.unavailable import TRY_AGAIN, DatabaseDoor
from sync_core.clock import SystemClock

PAGES = Pages(signs_in=False, contact="ops@example.com")


async def never(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("nobody gets here without a session")


@pytest.fixture
async def door() -> AsyncIterator[DatabaseDoor]:
    """Before a database that is not there: port 1 refuses."""
    engine = sa.create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none", connect_args={"connect_timeout": 2})
    gate = SessionGate(never, Sessions(engine, SystemClock()), secure=False, pages=PAGES)
    yield DatabaseDoor(gate, PAGES)
    engine.dispose()


async def test_a_browser_is_told_and_comes_back_by_itself(door: DatabaseDoor, caplog: pytest.LogCaptureFixture) -> None:
    cookies = {cookie_name(secure=False): "secret"}
    with caplog.at_level(logging.WARNING):
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(door), base_url="http://localhost", cookies=cookies
        ) as client:
            answer = await client.get("/contracts")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "database does not answer" in answer.text
    assert 'http-equiv="refresh"' in answer.text
    (line,) = [record for record in caplog.records if record.name == "app.web.unavailable"]
    assert line.exc_info is None
    assert "Traceback" not in line.getMessage()


async def test_an_open_page_is_told_to_try_again(door: DatabaseDoor) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    cookie = f"{cookie_name(secure=False)}=secret".encode()
    scope: Scope = {"type": "websocket", "path": "/_stcore/stream", "headers": [(b"cookie", cookie)]}
    await door(scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": TRY_AGAIN, "reason": "the database cannot be reached"}]
