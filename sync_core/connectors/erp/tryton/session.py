"""Tryton sessions: one login per process, shared by all calls, and the context that goes with every call."""

import asyncio
import base64
from dataclasses import dataclass

from sync_core.connectors.answers import Json, Row, TokenRefused
from sync_core.connectors.erp.tryton.wire import Value, Values
from sync_core.connectors.http import ErpHttp
from sync_core.errors import ErpCredentials
from sync_core.ports import CallContext

PATH = "/rpc/"
# The rest of the preferences is for screens. A key without a value is left out: Tryton would cache a null company
# as "this user has none" and answer every search with nothing until it is restarted.
_CONTEXT = ("company", "company_filter", "language", "employee")


@dataclass(frozen=True, slots=True)
class Session:
    header: str
    context: Values
    companies: tuple[int, ...]  # that the user may act for


class Login:
    """Credentials for ErpHttp. Calls that find no session wait for one login."""

    def __init__(self, http: ErpHttp, *, user: str, password: str) -> None:
        self._http, self._user, self._password = http, user, password
        self._lock = asyncio.Lock()
        self._session: Session | None = None

    async def header(self, ctx: CallContext) -> str:
        return (await self.session(ctx)).header

    def refused(self, header: str) -> None:
        # Another call may have logged in since: only the session that was refused is dropped.
        if self._session is not None and self._session.header == header:
            self._session = None

    async def session(self, ctx: CallContext) -> Session:
        if self._session is not None:
            return self._session
        async with self._lock:
            if self._session is None:
                self._session = await self._open(ctx)
            return self._session

    async def _open(self, ctx: CallContext) -> Session:
        user: list[Json] = [self._user, {"password": self._password}]
        try:
            told = await self._ask("session.login", "common.db.login", user, ctx, {})
        except TokenRefused as refused:
            words = f"does not accept the password of user {self._user}; renew it in the estate"
            raise ErpCredentials(self._http.system, words) from refused
        user_id, token = told[:2] if isinstance(told, list) and len(told) >= 2 else (None, None)
        secret = base64.b64encode(f"{self._user}:{user_id}:{token}".encode()).decode()
        headers = {"authorization": f"Session {secret}"}
        method = "model.res.user.get_preferences"
        told = await self._ask("session.preferences", method, [True, {}], ctx, headers)
        preferences = Row.of(self._http.system, told)
        kept: dict[str, Value] = {}
        for name in _CONTEXT:
            value = preferences.fields.get(name)
            if isinstance(value, int | str):
                kept[name] = value
        companies = preferences.fields.get("companies")
        ids = tuple(c for c in companies if isinstance(c, int)) if isinstance(companies, list) else ()
        return Session(headers["authorization"], kept, ids)

    async def _ask(
        self, operation: str, method: str, params: list[Json], ctx: CallContext, headers: dict[str, str]
    ) -> Json:
        body: Json = {"id": 0, "method": method, "params": params}
        answer = await self._http.call(
            operation, "POST", PATH, ctx=ctx, write=False, json=body, headers=headers, authenticate=False
        )
        return Row.of(self._http.system, answer.body).fields.get("result")
