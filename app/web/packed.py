"""Streamlit's scripts and styles, packed for browsers that unpack them: a first visit loads a third of the bytes.

Streamlit sends these files as they are, so that no request waits for packing. Here each is packed when it is asked for
first and kept, a few megabytes in all. Their names change with their contents, so nothing kept grows old.
"""

import asyncio
import gzip
import mimetypes
import re
from pathlib import Path
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_FILES: Final = re.compile(r"/(static/(?:js|css)/[\w.-]+\.(?:js|css))")
_LEAST: Final = 1_000  # bytes; less is not worth it
_LEVEL: Final = 6  # the highest takes twice as long for a hundredth of the size
_HEADERS: Final = {
    "cache-control": "public, immutable, max-age=31536000",  # as Streamlit says it of the same files
    "content-encoding": "gzip",
    "vary": "accept-encoding",
}
_QUALITY: Final = re.compile(r"q\s*=\s*([01](?:\.\d{0,3})?)", re.IGNORECASE)


class Packed:
    """Answers for the files below `folder`; whatever else is asked for, or otherwise, is left to `app`."""

    def __init__(self, app: ASGIApp, folder: Path) -> None:
        self._app, self._folder = app, folder
        self._kept: dict[str, bytes] = {}
        self._packing = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = _FILES.fullmatch(scope["path"]) if scope["type"] == "http" else None
        body = await self._packed(asked[1]) if asked and _takes_packed(scope) else None
        if asked is None:
            await self._app(scope, receive, send)
            return
        if body is None:
            await self._app(scope, receive, _varying(send))
            return
        await Response(body, media_type=mimetypes.guess_type(asked[1])[0], headers=_HEADERS)(scope, receive, send)

    async def _packed(self, name: str) -> bytes | None:
        """None: there is no such file, or it is small."""
        if name not in self._kept:
            async with self._packing:  # one after the other: they are many at a first visit, and pages are drawn beside
                if name not in self._kept:
                    found = await run_in_threadpool(_pack, self._folder / name)
                    if found is None:
                        return None  # not kept: names that are none are without number
                    self._kept[name] = found
        return self._kept[name]


def _pack(file: Path) -> bytes | None:
    try:
        plain = file.read_bytes()
    except OSError:
        return None
    return gzip.compress(plain, _LEVEL, mtime=0) if len(plain) >= _LEAST else None


def _varying(send: Send) -> Send:
    """So that no cache between gives the plain answer to who takes the packed one, or the other way round."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).add_vary_header("accept-encoding")
        await send(message)

    return sent


def _takes_packed(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return scope["method"] in ("GET", "HEAD") and "range" not in headers and _takes_gzip(
        headers.get("accept-encoding", "")
    )  # fmt: skip


def _takes_gzip(accepted: str) -> bool:
    """`gzip`, `gzip;q=0.5`, or `*` where gzip is not named; not with a quality of 0, or one that nobody can read."""
    qualities = {}
    for one in accepted.split(","):
        coding, _, parameter = (part.strip().lower() for part in one.partition(";"))
        quality = _QUALITY.fullmatch(parameter)
        qualities[coding] = float(quality[1]) if quality else 0.0 if parameter else 1.0
    return qualities.get("gzip", qualities.get("*", 0.0)) > 0
