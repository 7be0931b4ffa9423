"""The sandbox CLM over REST: its event feed by watermark, and the write-back of ERP status in bulk.

Every call is safe to repeat: a poll reads, and a write-back replaces what the CLM held. So whatever goes wrong
is a ClmError, and the next round tries again. Option `page_size` in the estate file: events per poll (200).

What an entry of the feed holds is for intake to judge, which quarantines one that it cannot take. So nothing but the
page around the entries is checked here, and their numbers are passed on digit by digit.
"""

import asyncio
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated
from urllib.parse import quote

import httpx
import orjson
from httpx_aiohttp import HttpxAiohttpClient
from pydantic import BaseModel, Field, ValidationError

from sync_core.clock import Clock
from sync_core.connectors import settings
from sync_core.connectors.http import never_sent
from sync_core.contract import Contract, Stage, Terms
from sync_core.errors import ClmError, InvalidEstate
from sync_core.estate.estate import Clm
from sync_core.intake.fetching import ClmContract, fields_of
from sync_core.keys import ExternalId
from sync_core.ports import ClmUnanswered, PolledPage, WriteBack

_TIMEOUT_S = 15.0  # of a whole call: httpx alone would wait anew for each byte of an answer that drips
_ITEMS_PER_CALL = 200
_NOBODY_KNOWS = frozenset({502, 504})  # a gateway's word; the CLM behind it may still be at it


class _Number:
    """A JSON number as its sender wrote it."""

    def __init__(self, text: str) -> None:
        self.text = text


class _Feed(BaseModel):
    events: list[object]
    watermark: str
    more: bool


class _Written(BaseModel):
    written: Annotated[int, Field(ge=0)]
    unknown: list[str]


class _Health(BaseModel):
    version: str | None = None


class _Terms(BaseModel):
    stage: Stage
    revision: int
    terms: Terms | None


class _Told(BaseModel):
    status: str | None = None
    project_ref: str | None = None


class _View(BaseModel):
    contract: _Terms | None
    integration: _Told | None = None


class SandboxClmConnector:
    """One sandbox CLM. Owns its client: close it with `aclose`."""

    def __init__(self, clm: Clm, client: httpx.AsyncClient, *, page_size: int) -> None:
        self.name, self.source = clm.name, clm.source
        self._client, self._page_size = client, page_size

    async def poll(self, watermark: str | None) -> PolledPage:
        """The next page behind `watermark`; None starts at the CLM's first event. Raises ClmError."""
        query = {"after": watermark or "0", "limit": str(self._page_size)}
        answer = await self._call("GET", "/api/events", query=query)
        try:
            read: object = json.loads(answer, parse_float=_Number, parse_int=_Number, parse_constant=_Number)
            feed = _Feed.model_validate(read)
        except (ValueError, RecursionError) as wrong:
            raise ClmError(self.source, f"its event feed is not what it should be ({_first_line(wrong)})") from wrong
        return PolledPage(tuple(_entry(event) for event in feed.events), feed.watermark, feed.more)

    async def write_back(self, items: Sequence[WriteBack]) -> None:
        """In calls of 200. Raises ClmError; contracts the CLM does not know are named, the others were written."""
        unknown: list[str] = []
        for start in range(0, len(items), _ITEMS_PER_CALL):
            chunk = items[start : start + _ITEMS_PER_CALL]
            body = orjson.dumps({"items": [_item(item) for item in chunk]})
            answer = await self._call("POST", "/api/integration", body=body)
            try:
                unknown += _Written.model_validate_json(answer).unknown
            except ValidationError as wrong:
                raise ClmError(self.source, f"did not confirm the write-back ({_first_line(wrong)})") from wrong
        if unknown:
            raise ClmError(self.source, f"does not know {', '.join(unknown[:10])}; the other contracts were written")

    async def version(self) -> str | None:
        """Raises ClmError."""
        answer = await self._call("GET", "/healthz")
        try:
            return _Health.model_validate_json(answer).version
        except ValidationError as wrong:
            raise ClmError(self.source, f"does not say which release it runs ({_first_line(wrong)})") from wrong

    async def fetch(self, external_id: str) -> ClmContract | None:
        """As the CLM has it now. Raises ClmError."""
        answer = await self._call("GET", f"/api/contracts/{quote(external_id, safe='')}", absent=True)
        if not answer:
            return None
        try:
            return _held(self.source, external_id, _View.model_validate(json.loads(answer, parse_float=Decimal)))
        except (ValueError, RecursionError) as wrong:
            raise ClmError(self.source, f"its contract is not what it should be ({_first_line(wrong)})") from wrong

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _call(
        self, method: str, path: str, *, query: dict[str, str] | None = None, body: bytes = b"", absent: bool = False
    ) -> bytes:
        """`absent`: nothing, where the CLM says that there is no such thing."""
        headers = {"content-type": "application/json"} if body else {}
        unanswered = ClmUnanswered if body else ClmError
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                answer = await self._client.request(method, path, params=query, content=body, headers=headers)
        except (httpx.HTTPError, TimeoutError) as wrong:
            kind = ClmError if never_sent(wrong) else unanswered
            raise kind(self.source, f"no answer to {method} {path} ({type(wrong).__name__})") from wrong
        if answer.status_code in (401, 403):
            raise ClmError(self.source, f"refused our token ({answer.status_code}); renew it in the estate")
        if absent and answer.status_code == 404:
            return b""
        if answer.status_code != 200:
            kind = unanswered if answer.status_code in _NOBODY_KNOWS else ClmError
            raise kind(self.source, f"answered {answer.status_code} to {method} {path}: {answer.text[:200]}")
        return answer.content


def _held(source: str, external_id: str, view: _View) -> ClmContract:
    known, told = ExternalId(external_id), view.integration or _Told()
    there = view.contract
    whole = Contract(source, known, there.stage, there.terms) if there else None
    fields = fields_of(whole) if whole else {}
    return ClmContract(known, there.revision if there else 0, fields, told.status, told.project_ref)


def _entry(event: object) -> bytes:
    try:
        return orjson.dumps(event, default=_digits)
    except TypeError:  # half a character, which is no Unicode: intake will say so of the escaped form
        return json.dumps(event, default=_text).encode()


def _digits(value: object) -> orjson.Fragment:
    return orjson.Fragment(_text(value))


def _text(value: object) -> str:
    if isinstance(value, _Number):
        return value.text
    raise TypeError(f"{type(value).__name__} is no part of JSON")


def _item(item: WriteBack) -> dict[str, object]:
    return {
        "contract_id": item.external_id,
        "status": item.status,
        "project_ref": item.project_ref,
        "erp": item.erp,
        "provisioned_at": item.provisioned_at.isoformat() if item.provisioned_at else None,
        "note": item.note,
        "revision": item.revision,
        "billing": item.billing.stored if item.billing else None,
        "values": dict(item.values) or None,
    }


def _first_line(wrong: Exception) -> str:
    return str(wrong).partition("\n")[0]


def check(clm: Clm) -> int:
    """How many it is asked for at a time. Raises InvalidEstate for options that cannot be used."""
    system = f"clm {clm.name}"
    settings.only(system, clm.options, ("token_env", "page_size"))
    return settings.page_size(system, clm.options, 200)


def connect(
    clm: Clm, *, secrets: Sequence[str], clock: Clock, transport: httpx.AsyncBaseTransport | None = None
) -> SandboxClmConnector:
    """The first secret is the bearer token. Raises InvalidEstate when it or the CLM's URL is missing."""
    if clm.url is None or not secrets:
        raise InvalidEstate(f"clm {clm.name}: the sandbox CLM needs a url and a token; set both for it")
    page_size = check(clm)
    # A transport of the caller's must not be bypassed by a proxy from the environment.
    client = HttpxAiohttpClient(
        base_url=clm.url,
        headers={"authorization": f"Bearer {secrets[0]}"},
        timeout=_TIMEOUT_S,
        trust_env=False,
        transport=transport,
    )
    return SandboxClmConnector(clm, client, page_size=page_size)
