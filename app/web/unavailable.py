"""What browsers get while the database cannot be reached: one page that comes back by itself, and one line in the log.

The API answers such errors itself, as problems (app/web/problems.py); this is for everything else of the web process.
"""

import logging

import sqlalchemy as sa
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.web.entry_pages import Pages

TRY_AGAIN = 1013  # websocket close code "try again later": the browser's page connects anew by itself
_RETRY_AFTER_S = "5"
_LOST = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError)

_log = logging.getLogger(__name__)


class DatabaseDoor:
    """Answers for `app` when it lost the database before it began to answer."""

    def __init__(self, app: ASGIApp, pages: Pages) -> None:
        self._app, self._pages = app, pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except _LOST as wrong:
            if scope["type"] not in ("http", "websocket") or (begun and scope["type"] == "http"):
                raise
            _log.warning("the database cannot be reached: %s", " ".join(str(wrong.__cause__ or wrong).split()))
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": TRY_AGAIN, "reason": "the database cannot be reached"})
                return
            headers = {"cache-control": "no-store", "retry-after": _RETRY_AFTER_S}
            await HTMLResponse(self._pages.no_database(), 503, headers)(scope, receive, send)
