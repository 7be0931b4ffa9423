"""Every log line of an HTTP request says which: the `x-correlation-id` that its caller sent, else one made here.

The request goes on with that id in its header, so that a problem's answer and all lines of the request say the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from fastapi import Request
from starlette.types import Scope

from app.web.problems import CORRELATION_HEADER, correlation_id_of
from sync_core.telemetry.log_context import concerned, concerns

_HEADER: Final = CORRELATION_HEADER.encode()


@contextmanager
def concerning(scope: Scope) -> Iterator[None]:
    """The block's lines concern this request. Changes `scope`, for whoever made it looks there for the route."""
    before, correlation_id = concerned(), correlation_id_of(Request(scope))
    others = [(name, value) for name, value in scope["headers"] if name != _HEADER]
    scope["headers"] = [*others, (_HEADER, correlation_id.encode())]
    concerns(correlation_id=correlation_id)
    try:
        yield
    finally:
        concerns(**before)
