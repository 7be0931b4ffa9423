"""Sockets and uvicorn: listening before anything starts, serving until told to stop."""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.cli.refusals import Exit, Refusal

LOOPBACK = "127.0.0.1"
_BACKLOG = 1024
_GRACE_S = 3


class Server(uvicorn.Server):
    """Signals belong to the process that starts it, which may run several."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """Raises Refusal for a port that is taken or not allowed, and for a host that is not of this machine."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except socket.gaierror as wrong:
        raise Refusal(
            f"TIELINE_HOST: {host!r} cannot be resolved; use an address of this machine.", Exit.SETTINGS
        ) from wrong
    except OSError as wrong:
        raise _refusal(host, port, wrong) from wrong


def listen_or_adopt(name: str, host: str, port: int, *, listen_fds: Mapping[str, int]) -> socket.socket:
    """The socket that `tieline up` handed down under this name, else one of our own."""
    if name in listen_fds:
        return socket.socket(fileno=listen_fds[name])
    return listen(host, port)


def address(listener: socket.socket) -> str:
    """Base URL for a caller on this machine."""
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"


async def serve(
    app: Callable[..., Awaitable[None]],
    listener: socket.socket,
    stop: asyncio.Event,
    *,
    http: type[HttpToolsProtocol] | str = "httptools",
    lifespan: bool = True,
) -> None:
    """Until `stop` is set; then what is being answered has a few seconds. Raises RuntimeError if it ends by itself."""
    config = uvicorn.Config(
        app,
        http=http,
        lifespan="on" if lifespan else "off",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=_GRACE_S,
        proxy_headers=False,  # else uvicorn takes a client's address from X-Forwarded-For of any local process
    )
    server = Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    stopping.cancel()
    await serving
    if not stop.is_set():
        raise RuntimeError("the server ended by itself; its messages above say why")


def _refusal(host: str, port: int, wrong: OSError) -> Refusal:
    if wrong.errno == errno.EADDRINUSE:
        words = "is taken by another program: stop that one, or choose another port with --port or TIELINE_PORT"
        return Refusal(f"Port {port} of {host} {words}.", Exit.PORT_TAKEN)
    if wrong.errno in (errno.EACCES, errno.EPERM):
        return Refusal(f"Port {port} of {host} is not allowed to this account: choose one above 1023.", Exit.PORT_TAKEN)
    return Refusal(
        f"TIELINE_HOST: nothing can listen on {host} port {port} ({os.strerror(wrong.errno or 0)}).", Exit.SETTINGS
    )
