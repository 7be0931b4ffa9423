"""What a request is conditional on: the version that the caller read, and a key under which it is done once.

If-Match names the ETag of what is to be changed. Idempotency-Key is by draft-ietf-httpapi-idempotency-key-header-07
(15 October 2025, expired as a draft): a structured-field string, so it stands in quotes.
"""

import hashlib
import re
from typing import Annotated, Final

from fastapi import Header, Request
from pydantic import JsonValue

from app.api.refused import Code, Refused
from sync_core.commands.desk import REMEMBERED_FOR, Changed, Once

REQUIRED: Final = "x-required"  # of a header: app/api/openapi.py says so, the code answers its absence itself
LONGEST_KEY: Final = 200

_TAG: Final = re.compile(r'(?:W/)?"([0-9]{1,9})"')
_KEY: Final = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])+)"')
_HOURS: Final = round(REMEMBERED_FOR.total_seconds() / 3600)

IfMatch = Annotated[
    str | None,
    Header(
        description="The ETag of what is changed, as it was read; `*` for whatever it is now",
        examples=['W/"3"'],
        json_schema_extra={REQUIRED: True, "pattern": r'^(\*|(W/)?"[0-9]{1,9}")$'},
    ),
]
_ABOUT_KEY: Final = (
    f"Your own key for this request, in quotes. A repeat within {_HOURS} hours does nothing and gets the first answer"
)
_EXAMPLE: Final = '"6b1f0c9e-3c1a-4a52"'
# Told, and not checked by FastAPI: what does not meet it has a status and a code of its own.
_FORM: Final[dict[str, JsonValue]] = {"pattern": r'^"([\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,200}"$'}


async def read_version(if_match: IfMatch = None) -> int | None:
    """A dependency of every change of one thing: the version it is based on. None: `*`. Raises Refused, Changed."""
    if if_match is None:
        raise Refused(Code.IF_MATCH_MISSING, "send If-Match with the ETag that you read, so that nobody is overwritten")
    if if_match.strip() == "*":
        return None
    found = _TAG.fullmatch(if_match.strip())
    if found is None:
        raise Changed("If-Match is no ETag of this resource; read it again, then decide")
    return int(found[1])


async def once(
    request: Request,
    idempotency_key: Annotated[
        str | None, Header(description=_ABOUT_KEY, examples=[_EXAMPLE], json_schema_extra=_FORM)
    ] = None,
) -> Once | None:
    """A dependency of every command by POST. Raises Refused for a malformed key."""
    return None if idempotency_key is None else await _known(request, idempotency_key)


async def surely_once(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(description=_ABOUT_KEY, examples=[_EXAMPLE], json_schema_extra={**_FORM, REQUIRED: True}),
    ] = None,
) -> Once:
    """As `once`, where a repeat by accident would be costly: the key is required. Raises Refused."""
    if idempotency_key is None:
        raise Refused(Code.KEY_MISSING, "send an Idempotency-Key, so that a repeat of this request does nothing")
    return await _known(request, idempotency_key)


async def _known(request: Request, header: str) -> Once:
    found = _KEY.fullmatch(header.strip())
    if found is None or len(found[1]) > LONGEST_KEY:
        words = f'Idempotency-Key is a text of 1 to {LONGEST_KEY} ASCII characters in quotes: "6b1f0c9e-3c1a-4a52"'
        raise Refused(Code.KEY_MALFORMED, words)
    return Once(re.sub(r"\\(.)", r"\1", found[1]), fingerprint(request.method, request.url.path, await request.body()))


def fingerprint(method: str, path: str, body: bytes) -> bytes:
    """SHA-256 of what the request asks for."""
    return hashlib.sha256(f"{method} {path}\n".encode() + body).digest()
