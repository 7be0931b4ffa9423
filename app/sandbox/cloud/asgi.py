"""The little of ASGI that the sandbox needs: reading a request, answering it, and failing to."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeAlias

import orjson

from app.sandbox.cloud.api import Answer
from app.sandbox.cloud.problems import Problem
from sync_core.clock import Clock

# ASGI messages are untyped mappings by their specification.
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

RESET = "sandbox.reset"  # scope extension of ResettableProtocol (serve.py): drops the connection
_DRIPS = 20


async def read_body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body


def parsed(body: bytes) -> object:
    try:
        return orjson.loads(body) if body else None
    except orjson.JSONDecodeError as error:
        raise Problem(400, "malformed", f"the body is not JSON: {error}") from error


def refusal(problem: Problem) -> Answer:
    return Answer(problem.status, problem.body(), problem.headers)


async def send_answer(send: Send, answer: Answer) -> None:
    content = await _send_head(send, answer)
    await send({"type": "http.response.body", "body": content})


async def drip_answer(send: Send, answer: Answer, clock: Clock, seconds: float) -> None:
    """The same, in small pieces over `seconds`."""
    content = await _send_head(send, answer)
    size = max(1, len(content) // _DRIPS)
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await clock.sleep(seconds / len(pieces))
    await send({"type": "http.response.body", "body": b""})


async def hang(scope: Message, receive: Receive) -> None:
    """No answer, until the client has gone. Without a socket the client's time-out is raised at once."""
    if RESET not in scope.get("extensions", {}):
        raise TimeoutError("sandbox-cloud does not answer")
    await _gone(receive)


async def reset(scope: Message, receive: Receive) -> None:
    extension: Mapping[str, Callable[[], None]] | None = scope.get("extensions", {}).get(RESET)
    if extension is None:
        raise ConnectionResetError("sandbox-cloud dropped the connection")
    extension["drop"]()
    await _gone(receive)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_head(send: Send, answer: Answer) -> bytes:
    content = orjson.dumps(answer.body) if answer.body is not None else b""
    kind = b"application/problem+json" if answer.status >= 400 else b"application/json"
    headers = [(b"content-type", kind), (b"content-length", str(len(content)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    return content
