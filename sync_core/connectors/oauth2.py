"""OAuth 2.0 client credentials (RFC 6749, 4.4): one token, shared by all calls, fetched when first needed."""

import asyncio
from datetime import datetime, timedelta

from sync_core.clock import Clock
from sync_core.connectors.answers import Row
from sync_core.connectors.http import ErpHttp
from sync_core.errors import ErpCredentials, ErpRejected
from sync_core.ports import CallContext

# Renewed a little early, so that a token does not expire on its way.
_EARLY = timedelta(seconds=30)


class ClientCredentials:
    """Credentials for ErpHttp. A hundred calls that find no token wait for one request for it."""

    def __init__(self, http: ErpHttp, path: str, *, client_id: str, client_secret: str, clock: Clock) -> None:
        self._http, self._path, self._clock = http, path, clock
        self._form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        self._lock = asyncio.Lock()
        self._header: str | None = None
        self._expires_at: datetime | None = None

    async def header(self, ctx: CallContext) -> str:
        if self._header and not self._expired():
            return self._header
        async with self._lock:
            if self._header is None or self._expired():
                self._header = await self._fetch(ctx)
            return self._header

    def refused(self, header: str) -> None:
        # Another call may have renewed it since: only the token that was refused is dropped.
        if self._header == header:
            self._header = None

    def _expired(self) -> bool:
        return self._expires_at is not None and self._clock.now() >= self._expires_at

    async def _fetch(self, ctx: CallContext) -> str:
        try:
            answer = await self._http.call(
                "token.issue", "POST", self._path, ctx=ctx, write=False, data=self._form, authenticate=False
            )
        except ErpRejected as refused:  # RFC 6749, 5.2: a wrong client is answered with 400
            words = f"refused the client credentials ({refused.words}); renew them in the estate"
            raise ErpCredentials(self._http.system, words) from refused
        row = Row.of(self._http.system, answer.body)
        lasts = timedelta(seconds=float(row.decimal("expires_in"))) if "expires_in" in row.fields else None
        self._expires_at = self._clock.now() + max(lasts - _EARLY, lasts / 2) if lasts else None
        return f"Bearer {row.text('access_token')}"
