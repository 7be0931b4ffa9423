"""Test only: the doors of the web process without Streamlit, a provider on a real port, and a browser between them."""

from dataclasses import dataclass

import httpx
import sqlalchemy as sa
from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from app.identity import oidc
from app.identity.gate import SessionGate, cookie_name
from app.identity.oidc import Oidc
from app.identity.oidc_client import Client
from app.identity.oidc_provider import Provider, http_client
from app.identity.refusal_counts import Refusals
from app.identity.sessions import Sessions
from app.web import entry
from app.web.entry import Entry
from app.web.entry_pages import Pages
from app.web.web import rules_of
from sync_core.authority import Role
from sync_core.clock import SystemClock, VirtualClock
from sync_core.errors import Function
from sync_core.estate.identity import GrantRule, Identity
from tests.app.identity_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    IdentityProvider,
)

OURS = "http://127.0.0.1:1"
COOKIE = cookie_name(secure=False)
AUDITED = sa.text("SELECT action, actor, subject, reason FROM core.audit ORDER BY id")


@dataclass
class House:
    """The web process without Streamlit, and a browser in front of it."""

    idp: IdentityProvider
    browser: httpx.AsyncClient
    elsewhere: httpx.AsyncClient
    sessions: Sessions
    engine: sa.Engine
    clock: VirtualClock

    async def begin(self, next_path: str = "/") -> httpx.URL:
        answer = await self.browser.get("/login", params={"next": next_path})
        assert answer.status_code == 303
        return httpx.URL(answer.headers["location"])

    async def sign_in(self, next_path: str = "/") -> httpx.Response:
        back = await self.elsewhere.get(await self.begin(next_path))
        return await self.browser.get(back.headers["location"])

    def audited(self) -> list[tuple[str, ...]]:
        with self.engine.connect() as conn:
            return [tuple(row) for row in conn.execute(AUDITED)]

    def refused(self, kind: str = "sign_in") -> int:
        with self.engine.connect() as conn:
            counted = sa.text("SELECT coalesce(sum(count), 0) FROM core.refusal WHERE kind = :kind")
            return int(conn.execute(counted, {"kind": kind}).scalar_one())


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    await JSONResponse(dict(Headers(scope=scope)))(scope, receive, send)


def identity_of(idp: IdentityProvider, **more: object) -> Identity:
    grants = (
        GrantRule("tax-uk", Role.OPERATOR, Function.TAX, ("GB01",)),
        GrantRule("audit", Role.AUDITOR),
    )
    return Identity(issuer=idp.issuer, client_id=CLIENT_ID, grant=grants, contact="the service desk", **more)  # type: ignore[arg-type]


class Building:
    """`async with` it for a House."""

    def __init__(self, idp: IdentityProvider, database: sa.Engine, identity: Identity) -> None:
        self._idp, self._database, self._identity = idp, database, identity

    async def __aenter__(self) -> House:
        clock = VirtualClock(SystemClock().now())
        self._http = http_client()
        client = Client(self._idp.issuer, CLIENT_ID, CLIENT_SECRET, ("openid", "email"), OURS)
        provider = Provider(client, self._http, clock)
        sessions = Sessions(self._database, clock, rules_of(self._identity))
        refusals, pages = Refusals(self._database, clock), Pages(signs_in=True, contact=self._identity.contact)
        app = FastAPI()
        app.include_router(entry.routes(Entry(sessions, refusals, pages, provider, secure=False)))
        app.include_router(oidc.routes(Oidc(self._identity, provider, sessions, refusals), secure=False))
        app.mount("/", SessionGate(echo, sessions, secure=False, pages=pages))
        self._browser = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=OURS)
        self._elsewhere = httpx.AsyncClient(trust_env=False)
        return House(self._idp, self._browser, self._elsewhere, sessions, self._database, clock)

    async def __aexit__(self, *_: object) -> None:
        await self._browser.aclose()
        await self._elsewhere.aclose()
        self._http.close()
