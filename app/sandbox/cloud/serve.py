"""Runs the sandbox on a socket, with connections that a fault can really drop."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.sandbox.cloud.asgi import RESET, Message, Receive, Send

Application: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # linger on, for zero seconds


class ResettableProtocol(HttpToolsProtocol):
    """uvicorn's protocol that also hands the application a way to drop the connection."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {RESET: {"drop": self._reset}}

    def _reset(self) -> None:
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()


class _Server(uvicorn.Server):
    """Signals belong to the process that starts it."""

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        await self._serve(sockets)


@asynccontextmanager
async def serving(app: Application, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serves in this event loop while the context is open; yields the base URL. Port 0: any free one."""
    config = uvicorn.Config(
        app,
        http=ResettableProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=1,
    )
    with socket.create_server((host, port), backlog=1024) as listener:
        server = _Server(config)
        task = asyncio.create_task(server.serve([listener]))
        try:
            yield f"http://{host}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task
