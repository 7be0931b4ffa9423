"""Test only: an estate with subscribers and rules, and real receivers on loopback: HTTP and SMTP."""

import asyncio
import base64
import email
import email.policy
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from typing import Any

import orjson
import sqlalchemy as sa
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncEngine
from standardwebhooks import Webhook

from sync_core.clock import Clock, VirtualClock
from sync_core.delivery.announce import Announcer
from sync_core.delivery.send import Sender, http_client
from sync_core.estate.delivery import Notify, Subscriber
from sync_core.estate.estate import Estate
from sync_core.intake.signatures import SigningKey, signing_key
from tests import rows

BASE = "https://tieline.example"
SOURCE = "urn:tieline:test"
SECRET = "whsec_" + base64.b64encode(b"n" * 32).decode()
OLD_SECRET = "whsec_" + base64.b64encode(b"o" * 32).decode()


_HERE = sa.text("SELECT CAST(pg_current_xact_id() AS text)")
_BELOW = sa.text("SELECT CAST(:here AS xid8) < pg_snapshot_xmin(pg_current_snapshot())")


async def settled(engine: AsyncEngine) -> None:
    """Until all that was committed before is below every open transaction, also those of other tests on the server."""
    async with engine.begin() as conn:
        here = await conn.scalar(_HERE)
    async with asyncio.timeout(60):
        while True:
            async with engine.begin() as conn:
                if await conn.scalar(_BELOW, {"here": here}):
                    return


class Undisturbed(Announcer):
    """Announces what was committed before, whatever other tests have open."""

    async def announce(self) -> int:
        await settled(self._engine)
        return await super().announce()


def announcer(engine: AsyncEngine, clock: Clock | None = None) -> Announcer:
    return Undisturbed(engine, clock or VirtualClock(rows.NOW), base_url=BASE, reporting="USD")


def estate(*rules: Notify, subscribers: Sequence[Subscriber] = ()) -> Estate:
    return replace(rows.estate(), notify=tuple(rules), subscriber=tuple(subscribers))


def told(database: sa.Engine) -> list[sa.RowMapping]:
    with database.connect() as conn:
        return list(conn.execute(sa.text("SELECT * FROM core.outgoing ORDER BY seq")).mappings())


def add_outgoing(database: sa.Engine, kind: str, **columns: object) -> int:
    """An outgoing event with plain defaults; its seq."""
    with database.begin() as conn:
        count = conn.scalar(sa.text("SELECT count(*) FROM core.outgoing"))
        values: dict[str, object] = {
            "id": f"event-{count}", "type": f"com.tieline.{kind}", "subject": f"exception/{count}", "addressee": None,
            "contract_id": None, "legal_entity": "US01", "function": None, "severity": "low", "occurred_at": rows.NOW,
            "recorded_at": rows.NOW, "data": {"links": {"page": BASE}},
        } | columns  # fmt: skip
        values["data"] = orjson.dumps(values["data"]).decode()
        names, binds = ", ".join(values), ", ".join(f":{name}" for name in values)
        text = f"INSERT INTO core.outgoing ({names}) VALUES ({binds}) RETURNING seq"
        return int(conn.execute(sa.text(text), values).scalar_one())


@dataclass
class Receiver:
    """A subscriber's server. `answers`: statuses to give, one a request, then 200. `gate` holds back later answers."""

    url: str = ""
    secret: str = SECRET
    answers: list[int] = field(default_factory=list)
    got: list[dict[str, Any]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    more_headers: dict[str, str] = field(default_factory=dict)
    gate: asyncio.Event | None = None
    pass_before_gate: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def ids(self) -> list[str]:
        return [event["id"] for event in self.got]

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.text()
        headers = {name.lower(): value for name, value in request.headers.items()}
        Webhook(self.secret).verify(body, headers)  # raises, which answers 500
        assert headers["webhook-id"] == orjson.loads(body)["id"]
        self.headers.append(headers)
        self.got.append(orjson.loads(body))
        self.arrived.set()
        if self.gate is not None and len(self.got) > self.pass_before_gate:
            await self.gate.wait()
        return web.Response(status=self.answers.pop(0) if self.answers else 200, headers=self.more_headers)


@asynccontextmanager
async def receiving(receiver: Receiver) -> AsyncIterator[Receiver]:
    app = web.Application()
    app.router.add_post("/events", receiver.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/events"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@asynccontextmanager
async def sending(
    engine: AsyncEngine,
    clock: Clock,
    *subscribers: Subscriber,
    keys: Sequence[SigningKey] = (signing_key(SECRET),),
    timeout_s: float = 15.0,
    lease_s: float = 60.0,
) -> AsyncIterator[Sender]:
    client = http_client()
    yield Sender(
        engine, clock, subscribers, {one.name: keys for one in subscribers}, client, source=SOURCE, base_url=BASE,
        timeout_s=timeout_s, lease_s=lease_s, chance=lambda: 1.0,
    )  # fmt: skip
    await client.aclose()


@dataclass
class Mailbox:
    """What the mail server was given."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    refuses: bool = False

    @property
    def url(self) -> str:
        return f"mailto://127.0.0.1:{self.port}?from=tieline@example.com&to=ops@example.org"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """As much SMTP (RFC 5321) as a client needs to give a mail."""

        async def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())
            await writer.drain()

        await say("220 mail.example")
        while line := (await reader.readline()).decode().strip():
            command = line.split()[0].upper()
            if command == "DATA" and not self.refuses:
                await say("354 go on")
                body = b""
                while (part := await reader.readline()) != b".\r\n":
                    body += part.removeprefix(b".") if part.startswith(b"..") else part
                parsed = email.message_from_bytes(body, policy=email.policy.default)
                assert isinstance(parsed, EmailMessage)
                self.mails.append(parsed)
                await say("250 taken")
            elif command == "DATA":
                await say("451 not now")
            elif command == "QUIT":
                await say("221 bye")
                break
            else:
                await say("250 mail.example")
        writer.close()


@asynccontextmanager
async def mailing() -> AsyncIterator[Mailbox]:
    box = Mailbox()
    server = await asyncio.start_server(box.serve, "127.0.0.1", 0)
    box.port = server.sockets[0].getsockname()[1]
    async with server:
        yield box
