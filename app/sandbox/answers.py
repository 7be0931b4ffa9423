"""How the sandbox systems answer in JSON, refuse as RFC 9457 says, and ask for their bearer token."""

import hmac

import orjson
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send


def as_json(content: object, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")


def problem(status: int, title: str, detail: str, headers: dict[str, str] | None = None) -> Response:
    body = orjson.dumps({"type": "about:blank", "status": status, "title": title, "detail": detail})
    return Response(body, status, headers, media_type="application/problem+json")


class Bearer:
    """ASGI middleware: lets through only requests that carry the token, compared in constant time, and /healthz."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._wanted = app, f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == "/healthz":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"authorization", b"")
        if hmac.compare_digest(given, self._wanted):
            await self._app(scope, receive, send)
            return
        refusal = problem(401, "Unauthorized", "send the bearer token", {"www-authenticate": "Bearer"})
        await refusal(scope, receive, send)
